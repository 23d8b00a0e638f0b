// Workers spin for a while between two loops, as the loops of one step follow each other within
// microseconds, then park.
#include "kernels/worker_team.h"

#include <algorithm>

namespace mlxs {
namespace {

constexpr int kSpins = 10000;

constexpr int kPartBits = 16;
constexpr std::uint64_t kPartMask = 0xFFFF;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `value` is different from `old`.
template <typename T>
void wait_for_change(const std::atomic<T>& value, T old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

WorkerTeam::WorkerTeam(int num_threads) {
  if (num_threads < 1)
    num_threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  for (int index = 1; index < num_threads; ++index) workers_.emplace_back([this] { serve(); });
}

WorkerTeam::~WorkerTeam() {
  is_stopping_.store(true, std::memory_order_relaxed);
  num_runs_.fetch_add(1, std::memory_order_release);
  num_runs_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// RETURNS: a part of the current run that nobody else has, or -1. The number of the run in the
// ticket keeps a worker that was interrupted here from taking a part of a later run by an old
// count.
int WorkerTeam::claim() {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while ((ticket & kPartMask) < (ticket >> kPartBits & kPartMask)) {
    if (ticket_.compare_exchange_weak(
            ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire
        )) {
      return static_cast<int>(ticket & kPartMask);
    }
  }
  return -1;
}

void WorkerTeam::take_parts() {
  for (int part = claim(); part >= 0; part = claim()) {
    (*body_)(part);
    num_done_.fetch_add(1, std::memory_order_release);
  }
}

void WorkerTeam::serve() {
  std::uint32_t seen = 0;
  while (!is_stopping_.load(std::memory_order_relaxed)) {
    wait_for_change(num_runs_, seen);
    seen = num_runs_.load(std::memory_order_acquire);
    take_parts();
  }
}

void WorkerTeam::run(int num_parts, const std::function<void(int)>& body) {
  if (num_parts <= 1 || workers_.empty()) {
    for (int part = 0; part < num_parts; ++part) body(part);
    return;
  }
  body_ = &body;
  num_done_.store(0, std::memory_order_relaxed);
  const std::uint64_t run = num_runs_.load(std::memory_order_relaxed) + std::uint64_t{1};
  ticket_.store(
      run << 32 | static_cast<std::uint64_t>(num_parts) << kPartBits, std::memory_order_release
  );
  num_runs_.fetch_add(1, std::memory_order_release);
  num_runs_.notify_all();
  take_parts();
  // The last parts are under way on other threads and take microseconds: a wait that parks would
  // take longer.
  for (int spin = 0; num_done_.load(std::memory_order_acquire) != num_parts; ++spin) {
    spin < kSpins ? pause() : std::this_thread::yield();
  }
}

}  // namespace mlxs
