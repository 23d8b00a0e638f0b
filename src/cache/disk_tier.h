// The persistent tier of the prefix cache: computed pages as files, one each, under a cap of bytes.
// It knows file names and formats, no thread and no clock; whoever owns it calls it where waiting
// for the disk is fine. No failure of the disk is an error of its caller: what cannot be read is a
// miss, what cannot be written is not kept, and a folder that keeps failing is left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "cache/file_system.h"
#include "cache/page_file.h"
#include "cache/page_key.h"

namespace mlxs {

struct DiskTierOptions {
  ModelFingerprint model = {};
  std::uint64_t max_bytes = 0;                            // of all files, in blocks of 4 KiB
  std::uint64_t max_page_bytes = std::uint64_t{1} << 30;  // of one file
};

struct DiskTierStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;  // load() of what is not there, or no longer sound
  std::uint64_t stored = 0;
  std::uint64_t evicted = 0;  // to stay under the cap
  std::uint64_t dropped = 0;  // damaged, of another version, or not of what their name says
  std::uint64_t errors = 0;   // operations that the file system refused
  std::uint64_t num_bytes = 0;
  std::uint64_t num_pages = 0;
  bool is_off = false;  // after failures in a row; it tries again now and then
};

// Thread safety: none; one thread owns it.
// Invariants: num_bytes <= max_bytes after each call; a file that load() returns was written by
// store() for equal model, salt and tokens, and has not changed since.
class DiskTier {
 public:
  // Takes the folder for this process, removes what a crash left unfinished, reads names and sizes
  // (no contents), and drops the least recently used files down to the cap.
  // ERRORS: invalid_config where another process has the folder or it cannot be listed or written.
  DiskTier(std::unique_ptr<FileSystem> files, const DiskTierOptions& options);

  // RETURNS: how many of `keys` (page_keys()), from the first on without a gap, are there. Reads
  // nothing from the disk, so load() can still miss.
  [[nodiscard]] std::size_t find(std::span<const PageKey> keys) const;

  // RETURNS: the verified contents, or nothing. A file that is not what it should be is removed.
  // `tokens` is the whole sequence up to the end of the page.
  [[nodiscard]] std::optional<PageContents> load(
      const PageKey& key, std::uint64_t salt, std::span<const std::int32_t> tokens
  );

  // Keeps a page, unless it is there already. `groups` are the bytes of each group of layers; an
  // empty one has no page.
  void store(
      const PageKey& key,
      std::uint64_t salt,
      std::span<const std::int32_t> tokens,
      std::span<const std::span<const std::byte>> groups
  );

  [[nodiscard]] DiskTierStats stats() const;

 private:
  struct Entry {
    PageKey name = {};
    std::uint64_t num_bytes = 0;  // of the file
  };
  struct KeyHash {
    std::size_t operator()(const PageKey& key) const { return key.low; }
  };
  using Place = std::list<Entry>::iterator;

  void scan();
  void take_over(const FileEntry& file);
  [[nodiscard]] PageKey name_of(const PageKey& key) const;
  [[nodiscard]] bool may_try();
  bool attempt(const std::function<void()>& operation);
  void note_failure(const char* what);
  void add(const Entry& entry);
  void forget(Place place);
  void drop(Place place);
  void make_room(std::uint64_t num_bytes);
  void write(const Entry& entry, std::span<const std::byte> file);
  void clean_up(const std::string& name);

  std::unique_ptr<FileSystem> files_;
  DiskTierOptions options_;
  std::list<Entry> entries_;  // the least recently used first
  std::unordered_map<PageKey, Place, KeyHash> places_;
  DiskTierStats stats_;
  int num_failures_ = 0;          // in a row
  int num_skipped_ = 0;           // calls since it is off
  bool has_leftover_ = false;     // an unfinished file could not be removed
  bool is_failure_told_ = false;  // in the log
};

}  // namespace mlxs
