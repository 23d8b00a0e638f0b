// One thread, two queues.
#include "engine/persistent_tier.h"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/thread_annotations.h"
#include "cache/disk_tier.h"
#include "cache/page_key.h"

namespace mlxs {
namespace {

std::size_t bytes_of(const TierStore& store) {
  std::size_t sum = 0;
  for (const auto& page : store.pages) {
    for (const auto& group : page) sum += group.size();
  }
  return sum;
}

}  // namespace

PersistentTier::PersistentTier(
    std::unique_ptr<DiskTier> disk, int page_size, std::function<void()> on_loaded
)
    : disk_(std::move(disk)),
      page_size_(page_size),
      on_loaded_(std::move(on_loaded)),
      stats_(disk_->stats()),
      thread_([this] { work(); }) {}

PersistentTier::~PersistentTier() {
  {
    MutexLock lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PersistentTier::load(TierLoad load) {
  {
    MutexLock lock(mutex_);
    loads_.push_back(std::move(load));
  }
  changed_.notify_all();
}

std::optional<LoadedPages> PersistentTier::try_take_loaded() {
  MutexLock lock(mutex_);
  if (loaded_.empty()) return std::nullopt;
  std::optional<LoadedPages> oldest = std::move(loaded_.front());
  loaded_.pop_front();
  return oldest;
}

bool PersistentTier::store(TierStore store) {
  {
    MutexLock lock(mutex_);
    const std::size_t num_bytes = bytes_of(store);
    if (queued_bytes_ + num_bytes > kMaxQueuedBytes) return false;
    queued_bytes_ += num_bytes;
    stores_.push_back(std::move(store));
  }
  changed_.notify_all();
  return true;
}

bool PersistentTier::flush(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  MutexLock lock(mutex_);
  while (is_writing_ || !stores_.empty()) {
    if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) return false;
  }
  return true;
}

DiskTierStats PersistentTier::stats() const {
  MutexLock lock(mutex_);
  return stats_;
}

void PersistentTier::work() {
  while (true) {
    std::optional<TierLoad> load;
    std::optional<TierStore> store;
    {
      MutexLock lock(mutex_);
      while (!is_closing_ && loads_.empty() && stores_.empty()) changed_.wait(mutex_);
      if (is_closing_) return;
      if (!loads_.empty()) {
        load = std::move(loads_.front());
        loads_.pop_front();
      } else {
        store = std::move(stores_.front());
        stores_.pop_front();
        is_writing_ = true;
      }
    }
    std::optional<LoadedPages> loaded;
    if (load) loaded = read(std::move(*load));
    if (store) write(*store);
    {
      MutexLock lock(mutex_);
      if (loaded) loaded_.push_back(std::move(*loaded));
      if (store) queued_bytes_ -= bytes_of(*store);
      is_writing_ = false;
      stats_ = disk_->stats();
    }
    changed_.notify_all();
    if (load) on_loaded_();
  }
}

LoadedPages PersistentTier::read(TierLoad load) {
  LoadedPages loaded{.load = std::move(load), .pages = {}};
  try {
    fault_point("cache.read");
    const std::span<const std::int32_t> tokens(loaded.load.tokens);
    const std::vector<PageKey> keys = page_keys(tokens, loaded.load.salt, page_size_);
    const std::size_t num_there = disk_->find(keys);
    for (auto page = static_cast<std::size_t>(loaded.load.first_page); page < num_there; ++page) {
      const std::size_t end = (page + 1) * static_cast<std::size_t>(page_size_);
      auto contents = disk_->load(keys[page], loaded.load.salt, tokens.first(end));
      if (!contents) break;
      loaded.pages.push_back(std::move(*contents));
    }
  } catch (const std::exception& error) {
    log_error("cached pages could not be read: {}", error.what());
    loaded.pages.clear();
  }
  return loaded;
}

void PersistentTier::write(const TierStore& store) {
  try {
    fault_point("cache.write");
    const std::span<const std::int32_t> tokens(store.tokens);
    const std::vector<PageKey> keys = page_keys(tokens, store.salt, page_size_);
    for (std::size_t i = 0; i < store.pages.size(); ++i) {
      const std::size_t page = static_cast<std::size_t>(store.first_page) + i;
      const std::vector<std::span<const std::byte>> groups(
          store.pages[i].begin(), store.pages[i].end()
      );
      const std::size_t end = (page + 1) * static_cast<std::size_t>(page_size_);
      disk_->store(keys.at(page), store.salt, tokens.first(end), groups);
    }
  } catch (const std::exception& error) {
    log_error("computed pages could not be kept: {}", error.what());
  }
}

}  // namespace mlxs
