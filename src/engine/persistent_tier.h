// The prefix cache's files, on a thread of their own: loads come back when they are done, writes
// happen some time later, and nobody waits for the disk. What goes wrong there is a miss.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/thread_annotations.h"
#include "cache/disk_tier.h"
#include "cache/page_file.h"

namespace mlxs {

// The pages of a prompt, from `first_page` on.
struct TierLoad {
  std::uint64_t id = 0;    // the caller's
  std::uint64_t salt = 0;  // salt_of()
  std::vector<std::int32_t> tokens = {};
  int first_page = 0;  // those before are there already
};

struct LoadedPages {
  TierLoad load = {};
  std::vector<PageContents> pages = {};  // of first_page and those after it, without a gap
};

// Pages that were computed.
struct TierStore {
  std::uint64_t salt = 0;
  std::vector<std::int32_t> tokens = {};  // the whole sequence up to the last page's end
  int first_page = 0;
  // [page][group] bytes; an empty group has no page there.
  std::vector<std::vector<std::vector<std::byte>>> pages = {};
};

// Thread safety: all members may be called from any thread.
// Invariants: the queue of writes holds at most kMaxQueuedBytes.
class PersistentTier {
 public:
  static constexpr std::size_t kMaxQueuedBytes = std::size_t{256} << 20U;

  // `on_loaded` is called from the tier's thread when a load is done.
  PersistentTier(std::unique_ptr<DiskTier> disk, int page_size, std::function<void()> on_loaded);
  // What is still to be written is lost; flush() before.
  ~PersistentTier();
  PersistentTier(const PersistentTier&) = delete;
  PersistentTier& operator=(const PersistentTier&) = delete;

  // Loads go before writes. Each is answered, if with no page at all.
  void load(TierLoad load);
  [[nodiscard]] std::optional<LoadedPages> try_take_loaded();

  // RETURNS: false where the disk is too far behind; nothing is kept then.
  bool store(TierStore store);

  // Waits until all is written. RETURNS: false where `timeout` came first.
  bool flush(std::chrono::milliseconds timeout);

  [[nodiscard]] DiskTierStats stats() const;

 private:
  void work();
  [[nodiscard]] LoadedPages read(TierLoad load);
  void write(const TierStore& store);

  const std::unique_ptr<DiskTier> disk_;  // of the tier's thread alone
  const int page_size_;
  const std::function<void()> on_loaded_;

  mutable Mutex mutex_;
  ConditionVariable changed_;
  bool is_closing_ MLXS_GUARDED_BY(mutex_) = false;
  bool is_writing_ MLXS_GUARDED_BY(mutex_) = false;
  std::size_t queued_bytes_ MLXS_GUARDED_BY(mutex_) = 0;
  std::deque<TierLoad> loads_ MLXS_GUARDED_BY(mutex_);
  std::deque<TierStore> stores_ MLXS_GUARDED_BY(mutex_);
  std::deque<LoadedPages> loaded_ MLXS_GUARDED_BY(mutex_);
  DiskTierStats stats_ MLXS_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace mlxs
