// What an engine's loop tells its collector, on the fake runner.
#include "engine/step_meter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"
#include "telemetry/model_metrics.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;

TEST(StepMeter, GapsAreOnlyBetweenStepsThatWait) {
  const auto collector = std::make_shared<Collector>(CollectorOptions{.context_length = 64});
  StepMeter meter(collector);
  const TimePoint start = TimePoint() + milliseconds(1000);
  Batch batch;
  batch.slices = {{.sequence = 1, .num_rows = 1}, {.sequence = 2, .first_row = 1, .num_rows = 5}};
  batch.step = 1;
  meter.submitted(batch, start);
  meter.completed(1, milliseconds(3), start + milliseconds(3));
  batch.step = 2;
  meter.submitted(batch, start + milliseconds(5));  // the host took 2 ms
  meter.completed(2, milliseconds(3), start + milliseconds(8));
  meter.pause();
  batch.step = 3;
  meter.submitted(batch, start + milliseconds(900));  // nobody had asked for anything
  meter.dropped(3);
  const ModelMetrics& metrics = collector->metrics();
  EXPECT_EQ(metrics.steps.value(), 2U);
  EXPECT_EQ(metrics.decode_rows.value(), 2U);
  EXPECT_EQ(metrics.prefill_rows.value(), 10U);
  EXPECT_EQ(metrics.host_gaps.sum(), 2'000'000U);
  EXPECT_EQ(metrics.step_times.sum(), 6'000'000U);
}

TEST(EngineCollector, CountsWhatRequestsGot) {
  const auto engine = make_fake_engine();
  Request request = testing::text_request("hello there", 6);
  request.account = "alice";
  const testing::Answer answer = testing::ask(*engine, request);
  ASSERT_EQ(answer.finish.reason, FinishReason::length);
  request.stop.max_tokens = 1;
  (void)testing::ask(*engine, request);
  request.stop.max_tokens = 100'000;  // more than the context
  EXPECT_EQ(testing::ask(*engine, request).finish.reason, FinishReason::error);

  const ModelMetrics& metrics = engine->collector().metrics();
  EXPECT_EQ(metrics.requests.value(), 3U);
  EXPECT_EQ(metrics.finishes[static_cast<std::size_t>(FinishReason::length)].value(), 2U);
  EXPECT_EQ(metrics.finishes[static_cast<std::size_t>(FinishReason::error)].value(), 1U);
  EXPECT_EQ(metrics.generated_tokens.value(), 7U);
  EXPECT_EQ(metrics.prompt_tokens.value(), 2 * std::string("hello there").size());
  EXPECT_EQ(metrics.first_token.snapshot().count, 2U);
  EXPECT_EQ(metrics.next_token.snapshot().count, 5U);
  EXPECT_EQ(metrics.request_generated_tokens.snapshot().sum, 7U);
  EXPECT_EQ(metrics.steps.value(), engine->stats().num_steps);
  ASSERT_EQ(engine->collector().keys().size(), 1U);
  EXPECT_EQ(engine->collector().keys()[0]->name, "alice");
  EXPECT_EQ(engine->collector().keys()[0]->failures.value(), 1U);
}

}  // namespace
}  // namespace mlxs
