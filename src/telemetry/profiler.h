// Records what the engine does, event by event, while somebody asks for it, and writes it as a
// trace that Perfetto and Chrome show (the Trace Event Format's JSON).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"

namespace mlxs {

// A line of the picture.
enum class ProfileTrack { device, host, kernels };

struct ProfileEvent {
  std::string name = {};
  ProfileTrack track = ProfileTrack::device;
  std::chrono::steady_clock::time_point begin = {};
  std::chrono::nanoseconds duration{0};
  std::vector<std::pair<std::string_view, std::int64_t>> arguments = {};
};

// Thread safety: all members from any thread.
class Profiler {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t kMaxEvents = 1'000'000;  // later ones are left out

  // RETURNS: whether events are kept; costs one load, so whoever has nothing to tell asks first.
  [[nodiscard]] bool is_active() const { return is_active_.load(std::memory_order_relaxed); }

  // RETURNS: false where a profile is being taken already.
  [[nodiscard]] bool start();

  // Nothing where no profile is being taken.
  void add(ProfileEvent event);
  void count(std::string_view name, Clock::time_point at, std::int64_t value);

  // Ends the profile. RETURNS: it, as JSON. REQUIRES: start() returned true and nobody stopped it.
  [[nodiscard]] std::string stop();

 private:
  struct Sample {
    std::string name;
    Clock::time_point at;
    std::int64_t value = 0;
  };

  std::atomic<bool> is_active_ = false;
  Mutex mutex_;
  Clock::time_point begin_ MLXS_GUARDED_BY(mutex_);
  std::vector<ProfileEvent> events_ MLXS_GUARDED_BY(mutex_);
  std::vector<Sample> samples_ MLXS_GUARDED_BY(mutex_);
};

}  // namespace mlxs
