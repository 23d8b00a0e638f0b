// A part is taken over by whoever comes first after its hour.
#include "telemetry/slo_monitor.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mlxs {
namespace {

constexpr double kMsInNs = 1e6;

std::int64_t part_at(SloMonitor::Clock::time_point time) {
  return time.time_since_epoch() / SloMonitor::kPart;
}

}  // namespace

double SloMonitor::allowed_share(SloKind kind) const {
  switch (kind) {
    case SloKind::first_token:
      return targets_.first_token_ms > 0.0 ? 1.0 - targets_.objective : 0.0;
    case SloKind::next_token:
      return targets_.next_token_ms > 0.0 ? 1.0 - targets_.objective : 0.0;
    case SloKind::errors:
      return targets_.error_share;
  }
  return 0.0;
}

void SloMonitor::observe(SloKind kind, bool is_good, Clock::time_point now) {
  if (!has(kind)) return;
  const std::int64_t number = part_at(now);
  Part& part = parts_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(number) % kNumParts];
  std::int64_t before = part.number.load(std::memory_order_relaxed);
  if (before != number &&
      part.number.compare_exchange_strong(before, number, std::memory_order_relaxed)) {
    part.good.store(0, std::memory_order_relaxed);
    part.bad.store(0, std::memory_order_relaxed);
  }
  (is_good ? part.good : part.bad).fetch_add(1, std::memory_order_relaxed);
}

void SloMonitor::observe_time(SloKind kind, std::uint64_t time, Clock::time_point now) {
  if (!has(kind)) return;
  const double limit_ms =
      kind == SloKind::first_token ? targets_.first_token_ms : targets_.next_token_ms;
  observe(kind, static_cast<double>(time) <= limit_ms * kMsInNs, now);
}

std::optional<double> SloMonitor::burn_rate(
    SloKind kind, std::chrono::seconds window, Clock::time_point now
) const {
  if (!has(kind)) return std::nullopt;
  const std::int64_t newest = part_at(now);
  const std::int64_t num_parts =
      std::clamp<std::int64_t>(window / kPart, 1, static_cast<std::int64_t>(kNumParts));
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  for (const Part& part : parts_[static_cast<std::size_t>(kind)]) {
    const std::int64_t number = part.number.load(std::memory_order_relaxed);
    if (number > newest || number <= newest - num_parts || number < 0) continue;
    good += part.good.load(std::memory_order_relaxed);
    bad += part.bad.load(std::memory_order_relaxed);
  }
  if (good + bad == 0) return std::nullopt;
  return static_cast<double>(bad) / static_cast<double>(good + bad) / allowed_share(kind);
}

}  // namespace mlxs
