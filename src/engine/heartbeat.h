// What /health reads: written by the engine's loop, read by anybody, adding no work to either.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/thread_annotations.h"

namespace mlxs {

// Thread safety: one thread writes, any thread reads.
class Heartbeat {
 public:
  using Clock = std::chrono::steady_clock;

  void step_done(std::uint64_t num_tokens) {
    num_tokens_.fetch_add(num_tokens, std::memory_order_relaxed);
    last_step_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    num_steps_.fetch_add(1, std::memory_order_release);
  }

  void request_finished() { num_requests_finished_.fetch_add(1, std::memory_order_relaxed); }

  void failed(const std::string& error) {
    MutexLock lock(mutex_);
    last_error_ = error;
  }

  [[nodiscard]] std::uint64_t num_steps() const {
    return num_steps_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t num_tokens() const {
    return num_tokens_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t num_requests_finished() const {
    return num_requests_finished_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Clock::time_point last_step() const {
    return Clock::time_point(Clock::duration(last_step_.load(std::memory_order_relaxed)));
  }
  [[nodiscard]] std::string last_error() const {
    MutexLock lock(mutex_);
    return last_error_;
  }

 private:
  std::atomic<std::uint64_t> num_steps_ = 0;
  std::atomic<std::uint64_t> num_tokens_ = 0;
  std::atomic<std::uint64_t> num_requests_finished_ = 0;
  std::atomic<Clock::rep> last_step_ = 0;
  mutable Mutex mutex_;
  std::string last_error_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
