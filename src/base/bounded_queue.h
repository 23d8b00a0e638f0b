// A bounded queue of many producers and one or many consumers: what stands between threads.
// It never blocks a producer: a full queue is the caller's to report.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/thread_annotations.h"

namespace mlxs {

// Thread safety: all members may be called from any thread.
// Invariants: at most `capacity` items; after close() nothing enters and what is inside may still
// leave.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // RETURNS: false, leaving `item` untouched, where the queue is full or closed.
  [[nodiscard]] bool try_push(T&& item) {
    {
      MutexLock lock(mutex_);
      if (closed_ || items_.size() >= capacity_) return false;
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    return true;
  }

  [[nodiscard]] std::optional<T> try_pop() {
    MutexLock lock(mutex_);
    return take();
  }

  // Waits until there is an item, the queue is closed or the time is over.
  // RETURNS: nothing where it is closed and empty, or the time was over.
  [[nodiscard]] std::optional<T> pop_until(std::chrono::steady_clock::time_point deadline) {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) {
      if (ready_.wait_until(mutex_, deadline) == std::cv_status::timeout) break;
    }
    return take();
  }

  // Waits without limit. RETURNS: nothing where the queue is closed and empty.
  [[nodiscard]] std::optional<T> pop() {
    MutexLock lock(mutex_);
    while (items_.empty() && !closed_) ready_.wait(mutex_);
    return take();
  }

  void close() {
    {
      MutexLock lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  [[nodiscard]] std::size_t size() const {
    MutexLock lock(mutex_);
    return items_.size();
  }

 private:
  std::optional<T> take() MLXS_REQUIRES(mutex_) {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  const std::size_t capacity_;
  mutable Mutex mutex_;
  ConditionVariable ready_;
  std::deque<T> items_ MLXS_GUARDED_BY(mutex_);
  bool closed_ MLXS_GUARDED_BY(mutex_) = false;
};

}  // namespace mlxs
