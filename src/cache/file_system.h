// The few file operations that the disk tier needs, on one folder. An interface, so that tests can
// let any of them fail, or lose what was not synced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mlxs {

struct FileEntry {
  std::string name = {};
  std::uint64_t num_bytes = 0;
  std::int64_t modified_ns = 0;
};

// Names are plain: no slash. Every operation but try_lock() that cannot be done throws
// std::system_error with the system's error number, and may have been done in part.
// Thread safety: none.
class FileSystem {
 public:
  FileSystem() = default;
  virtual ~FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  FileSystem(FileSystem&&) = delete;
  FileSystem& operator=(FileSystem&&) = delete;

  // Keeps other processes from locking the same name, until this object goes.
  // RETURNS: false where another one has it.
  virtual bool try_lock(const std::string& name) = 0;

  // RETURNS: the folder's regular files; links and folders are left out.
  virtual std::vector<FileEntry> list() = 0;

  // RETURNS: the whole file, which must be a regular one, no link, of at most `max_bytes`; EFBIG
  // otherwise.
  virtual std::vector<std::byte> read(const std::string& name, std::uint64_t max_bytes) = 0;

  // Makes a file that is not there yet, for this user only.
  virtual void create(const std::string& name, std::span<const std::byte> contents) = 0;

  // Waits until the file's contents are on the disk.
  virtual void sync(const std::string& name) = 0;

  virtual void rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual void remove(const std::string& name) = 0;
  virtual void touch(const std::string& name) = 0;  // it was modified now
};

// RETURNS: the files of `folder`, which is made, for this user only, where it is not there.
// ERRORS: invalid_config where it cannot be used: another user's, open to others, not a folder.
[[nodiscard]] std::unique_ptr<FileSystem> open_folder(const std::filesystem::path& folder);

}  // namespace mlxs
