// A target that burns sheds and slows; one that recovers lets go.
#include "engine/slo_governor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

std::shared_ptr<Collector> collector_with_targets() {
  return std::make_shared<Collector>(
      CollectorOptions{.context_length = 64, .slo = {.first_token_ms = 10.0, .next_token_ms = 10.0}}
  );
}

SchedulerOptions small_scheduler() {
  return {
      .max_sequences = 4, .step_tokens = 16, .cache = {.page_size = 4, .groups = {{.num_pages = 8}}}
  };
}

TEST(SloGovernor, ShedsWhileFirstTokensAreLate) {
  const auto collector = collector_with_targets();
  SloGovernor governor(collector, SloAction::shed);
  Scheduler scheduler(small_scheduler());
  const TimePoint now = SloMonitor::Clock::now();
  governor.apply(scheduler, now);
  EXPECT_FALSE(governor.refuses({.priority = 0}));
  collector->record_first_token(
      collector->key(""), {.since_submission = milliseconds(11), .prompt_tokens = 1}
  );
  governor.apply(scheduler, now + minutes(0) + milliseconds(500));  // too soon to look again
  EXPECT_FALSE(governor.refuses({.priority = 0}));
  governor.apply(scheduler, now + milliseconds(1500));
  EXPECT_TRUE(governor.refuses({.priority = 0}));
  EXPECT_FALSE(governor.refuses({.priority = 1}));
  EXPECT_EQ(SloGovernor::refusal().code(), ErrorCode::overloaded);
  governor.apply(scheduler, now + minutes(3));
  EXPECT_FALSE(governor.refuses({.priority = 0}));
}

TEST(SloGovernor, DoesNothingUnlessAsked) {
  const auto collector = collector_with_targets();
  SloGovernor governor(collector, SloAction::none);
  Scheduler scheduler(small_scheduler());
  collector->record_first_token(
      collector->key(""), {.since_submission = milliseconds(11), .prompt_tokens = 1}
  );
  governor.apply(scheduler, SloMonitor::Clock::now());
  EXPECT_FALSE(governor.refuses({.priority = 0}));
}

}  // namespace
}  // namespace mlxs
