// How fast a model uses up what it may miss of its targets: burn rates over sliding windows, as
// Google's SRE workbook has them. 1 is exactly as fast as the objective allows.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mlx_serving/config.h"

namespace mlxs {

enum class SloKind { first_token, next_token, errors };
inline constexpr std::array<std::string_view, 3> kSloNames = {
    "first_token", "next_token", "errors"
};

// Thread safety: all members from any thread. A window moves on in parts of ten seconds; an event
// at the very moment may be counted in the part before or be lost.
class SloMonitor {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::seconds kPart{10};
  static constexpr std::size_t kNumParts = 360;  // an hour

  explicit SloMonitor(const SloTargets& targets) : targets_(targets) {}

  // RETURNS: whether anything is promised.
  [[nodiscard]] bool has(SloKind kind) const { return allowed_share(kind) > 0.0; }
  [[nodiscard]] const SloTargets& targets() const { return targets_; }

  // An event that kept the target, or missed it. Nothing where there is none.
  void observe(SloKind kind, bool is_good, Clock::time_point now = Clock::now());
  // A time in nanoseconds, of first_token or next_token.
  void observe_time(SloKind kind, std::uint64_t time, Clock::time_point now = Clock::now());

  // RETURNS: the share of missed events over `window`, up to an hour, divided by the share that may
  // be missed; nothing where there is no target or no event.
  [[nodiscard]] std::optional<double> burn_rate(
      SloKind kind, std::chrono::seconds window, Clock::time_point now = Clock::now()
  ) const;

 private:
  struct Part {
    std::atomic<std::int64_t> number{-1};  // of the parts since the clock's start
    std::atomic<std::uint64_t> good{0};
    std::atomic<std::uint64_t> bad{0};
  };

  [[nodiscard]] double allowed_share(SloKind kind) const;

  const SloTargets targets_;
  std::array<std::array<Part, kNumParts>, kSloNames.size()> parts_ = {};
};

}  // namespace mlxs
