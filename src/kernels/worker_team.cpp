// Workers spin for a while between two loops, as the loops of one step follow each other within
// microseconds, then park.
#include "kernels/worker_team.h"

#include <algorithm>
#include <cstddef>
#include <thread>
#include <vector>
#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

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

// RETURNS: the processors of the calling thread's affinity mask; empty where the system has none.
std::vector<int> usable_processors() {
  std::vector<int> processors;
#ifdef __linux__
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return {};
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(static_cast<std::size_t>(processor), &mask)) processors.push_back(processor);
  }
#endif
  return processors;
}

// A system that refuses leaves the thread where it is, which costs speed only.
void pin(std::thread& thread, int processor) {
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(static_cast<std::size_t>(processor), &mask);
  static_cast<void>(pthread_setaffinity_np(thread.native_handle(), sizeof(mask), &mask));
#else
  static_cast<void>(thread);
  static_cast<void>(processor);
#endif
}

}  // namespace

int num_usable_processors() {
  const std::size_t num_usable = usable_processors().size();
  if (num_usable > 0) return static_cast<int>(num_usable);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

WorkerTeam::WorkerTeam(int num_threads) {
  const std::vector<int> processors = usable_processors();
  if (num_threads < 1) num_threads = num_usable_processors();
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread] { serve(thread); });
    // The first processor is left to the thread that calls run().
    const auto own = static_cast<std::size_t>(thread);
    if (static_cast<std::size_t>(num_threads) <= processors.size())
      pin(workers_.back(), processors[own]);
  }
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

void WorkerTeam::take_parts(int thread) {
  for (int part = claim(); part >= 0; part = claim()) {
    call_(body_, part, thread);
    num_done_.fetch_add(1, std::memory_order_release);
  }
}

void WorkerTeam::serve(int thread) {
  std::uint32_t seen = 0;
  while (!is_stopping_.load(std::memory_order_relaxed)) {
    wait_for_change(num_runs_, seen);
    seen = num_runs_.load(std::memory_order_acquire);
    take_parts(thread);
  }
}

void WorkerTeam::run_parts(int num_parts, const void* body, Call call) {
  if (num_parts <= 1 || workers_.empty()) {
    for (int part = 0; part < num_parts; ++part) call(body, part, 0);
    return;
  }
  body_ = body;
  call_ = call;
  num_done_.store(0, std::memory_order_relaxed);
  const std::uint64_t run = num_runs_.load(std::memory_order_relaxed) + std::uint64_t{1};
  ticket_.store(
      run << 32 | static_cast<std::uint64_t>(num_parts) << kPartBits, std::memory_order_release
  );
  num_runs_.fetch_add(1, std::memory_order_release);
  num_runs_.notify_all();
  take_parts(0);
  // The last parts are under way on other threads and take microseconds: a wait that parks would
  // take longer.
  for (int spin = 0; num_done_.load(std::memory_order_acquire) != num_parts; ++spin) {
    spin < kSpins ? pause() : std::this_thread::yield();
  }
}

}  // namespace mlxs
