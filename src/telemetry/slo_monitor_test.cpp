// Burn rates on a clock of the test's own.
#include "telemetry/slo_monitor.h"

#include <gtest/gtest.h>

#include <chrono>

#include "mlx_serving/config.h"

namespace mlxs {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr SloMonitor::Clock::time_point kStart{std::chrono::hours(50)};
constexpr SloTargets kTargets = {.first_token_ms = 100.0, .error_share = 0.1, .objective = 0.9};

TEST(SloMonitor, BurnsWithTheShareThatMissed) {
  SloMonitor monitor(kTargets);
  for (int i = 0; i < 8; ++i) monitor.observe_time(SloKind::first_token, 100'000'000, kStart);
  for (int i = 0; i < 2; ++i) monitor.observe_time(SloKind::first_token, 100'000'001, kStart);
  EXPECT_DOUBLE_EQ(monitor.burn_rate(SloKind::first_token, minutes(1), kStart).value(), 2.0);
  monitor.observe(SloKind::errors, false, kStart);
  EXPECT_DOUBLE_EQ(monitor.burn_rate(SloKind::errors, minutes(1), kStart).value(), 10.0);
}

TEST(SloMonitor, ForgetsWhatLeavesTheWindow) {
  SloMonitor monitor(kTargets);
  monitor.observe(SloKind::errors, false, kStart);
  const auto later = kStart + minutes(2);
  monitor.observe(SloKind::errors, true, later);
  EXPECT_DOUBLE_EQ(monitor.burn_rate(SloKind::errors, minutes(1), later).value(), 0.0);
  EXPECT_DOUBLE_EQ(monitor.burn_rate(SloKind::errors, minutes(5), later).value(), 5.0);
  // After more than an hour the same part is another one.
  const auto next = kStart + SloMonitor::kPart * static_cast<int>(SloMonitor::kNumParts);
  monitor.observe(SloKind::errors, true, next);
  EXPECT_DOUBLE_EQ(monitor.burn_rate(SloKind::errors, std::chrono::hours(1), next).value(), 0.0);
}

TEST(SloMonitor, SaysNothingWithoutATargetOrAnEvent) {
  SloMonitor monitor(kTargets);
  monitor.observe_time(SloKind::next_token, 1, kStart);
  EXPECT_FALSE(monitor.has(SloKind::next_token));
  EXPECT_FALSE(monitor.burn_rate(SloKind::next_token, minutes(1), kStart));
  EXPECT_FALSE(monitor.burn_rate(SloKind::first_token, minutes(1), kStart));
}

}  // namespace
}  // namespace mlxs
