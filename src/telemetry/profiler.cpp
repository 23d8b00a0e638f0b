// Times in the file are microseconds since the profile began.
#include "telemetry/profiler.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/thread_annotations.h"

namespace mlxs {
namespace {

constexpr int kProcess = 1;
constexpr std::array<const char*, 3> kTrackNames = {"device", "host", "kernels"};

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

double microseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

json::object name_of_track(std::size_t track) {
  return {
      {"ph", "M"},
      {"name", "thread_name"},
      {"pid", kProcess},
      {"tid", track},
      {"args", json::object{{"name", kTrackNames.at(track)}}}
  };
}

}  // namespace

bool Profiler::start() {
  MutexLock lock(mutex_);
  if (is_active_) return false;
  events_.clear();
  samples_.clear();
  begin_ = Clock::now();
  is_active_ = true;
  return true;
}

void Profiler::add(ProfileEvent event) {
  MutexLock lock(mutex_);
  if (is_active_ && events_.size() < kMaxEvents) events_.push_back(std::move(event));
}

void Profiler::count(std::string_view name, Clock::time_point at, std::int64_t value) {
  MutexLock lock(mutex_);
  if (is_active_ && samples_.size() < kMaxEvents)
    samples_.push_back({.name = std::string(name), .at = at, .value = value});
}

std::string Profiler::stop() {
  MutexLock lock(mutex_);
  is_active_ = false;
  json::array list;
  for (std::size_t track = 0; track < kTrackNames.size(); ++track)
    list.push_back(name_of_track(track));
  for (const ProfileEvent& event : events_) {
    json::object arguments;
    for (const auto& [name, value] : event.arguments) arguments[view(name)] = value;
    list.push_back(json::object{
        {"ph", "X"},
        {"name", event.name},
        {"pid", kProcess},
        {"tid", static_cast<int>(event.track)},
        {"ts", std::max(0.0, microseconds(event.begin - begin_))},
        {"dur", microseconds(event.duration)},
        {"args", std::move(arguments)}
    });
  }
  for (const Sample& sample : samples_) {
    list.push_back(json::object{
        {"ph", "C"},
        {"name", sample.name},
        {"pid", kProcess},
        {"ts", std::max(0.0, microseconds(sample.at - begin_))},
        {"args", json::object{{"value", sample.value}}}
    });
  }
  events_ = {};
  samples_ = {};
  return json::serialize(json::object{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}});
}

}  // namespace mlxs
