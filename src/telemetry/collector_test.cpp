// What a request leaves behind in the figures, event by event.
#include "telemetry/collector.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/buckets.h"
#include "telemetry/model_metrics.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;

Finish finish_of(FinishReason reason) {
  Finish finish;
  finish.reason = reason;
  finish.usage = {.prompt_tokens = 100, .cached_tokens = 64, .completion_tokens = 5};
  finish.timings = {.queue_ms = 2.0, .prefill_ms = 30.0, .decode_ms = 44.0};
  return finish;
}

std::shared_ptr<Collector> make_collector(bool is_on = true) {
  return std::make_shared<Collector>(
      CollectorOptions{.model = "small", .context_length = 2048, .is_on = is_on}
  );
}

std::uint64_t finishes(const Collector& collector, FinishReason reason) {
  return collector.metrics().finishes[static_cast<std::size_t>(reason)].value();
}

TEST(Collector, CountsARequestFromItsSubmissionToItsEnd) {
  const auto collector = make_collector();
  KeyMetrics& key = collector->key("alice");
  const RequestMeter meter(collector, key, {.max_tokens = 5, .num_answers = 1});
  meter.first_token(
      {.since_submission = milliseconds(32), .prompt_tokens = 100, .cached_tokens = 64}
  );
  for (int i = 0; i < 4; ++i) meter.next_token(milliseconds(11));
  meter.finish(finish_of(FinishReason::length), milliseconds(76));

  const ModelMetrics& metrics = collector->metrics();
  EXPECT_EQ(metrics.requests.value(), 1U);
  EXPECT_EQ(finishes(*collector, FinishReason::length), 1U);
  EXPECT_EQ(metrics.prompt_tokens.value(), 100U);
  EXPECT_EQ(metrics.cached_tokens.value(), 64U);
  EXPECT_EQ(metrics.generated_tokens.value(), 5U);
  EXPECT_EQ(metrics.first_token.snapshot().sum, 32 * kMsInNs);
  EXPECT_EQ(metrics.next_token.snapshot().count, 4U);
  EXPECT_EQ(metrics.next_token.snapshot().sum, 44 * kMsInNs);
  EXPECT_EQ(metrics.time_per_output_token.snapshot().sum, 11 * kMsInNs);
  EXPECT_EQ(metrics.inference.snapshot().sum, 74 * kMsInNs);
  EXPECT_EQ(metrics.total.snapshot().sum, 76 * kMsInNs);
  EXPECT_EQ(metrics.request_computed_tokens.snapshot().sum, 36U);
  EXPECT_EQ(metrics.asked_tokens.snapshot().edges.back(), 2000U);  // of a context of 2048
  ASSERT_EQ(collector->keys().size(), 1U);
  EXPECT_EQ(collector->keys()[0]->name, "alice");
  EXPECT_EQ(collector->keys()[0]->requests.value(), 1U);
  EXPECT_EQ(collector->keys()[0]->generated_tokens.value(), 5U);
}

TEST(Collector, TellsFailuresAndCancelledRequestsApart) {
  const auto collector = make_collector();
  KeyMetrics& key = collector->key("");
  Finish failure = finish_of(FinishReason::error);
  failure.error = Error(ErrorCode::deadline_exceeded, "late");
  RequestMeter(collector, key, {}).finish(failure, milliseconds(5));
  RequestMeter(collector, key, {}).finish(finish_of(FinishReason::cancelled), milliseconds(5));
  EXPECT_EQ(finishes(*collector, FinishReason::error), 1U);
  EXPECT_EQ(finishes(*collector, FinishReason::cancelled), 1U);
  EXPECT_EQ(key.failures.value(), 1U);
  const auto& failures = collector->metrics().failures;
  EXPECT_EQ(failures[static_cast<std::size_t>(ErrorCode::deadline_exceeded)].value(), 1U);
  // Neither was answered, so neither says how long an answer takes.
  EXPECT_EQ(collector->metrics().total.snapshot().count, 0U);
}

TEST(Collector, CountsStepsAndTheirRows) {
  const auto collector = make_collector();
  collector->record_step(
      {.decode_rows = 3, .prefill_rows = 61, .duration = milliseconds(7), .gap = milliseconds(1)}
  );
  const ModelMetrics& metrics = collector->metrics();
  EXPECT_EQ(metrics.steps.value(), 1U);
  EXPECT_EQ(metrics.decode_rows.value(), 3U);
  EXPECT_EQ(metrics.prefill_rows.value(), 61U);
  EXPECT_EQ(metrics.step_tokens.snapshot().sum, 64U);
  EXPECT_EQ(metrics.step_time.snapshot().sum, 7 * kMsInNs);
  EXPECT_EQ(metrics.host_gaps.sum(), kMsInNs);
}

TEST(Collector, KeepsKeysFew) {
  const auto collector = make_collector();
  for (int i = 0; i < 200; ++i)
    RequestMeter(collector, collector->key("key" + std::to_string(i)), {});
  EXPECT_EQ(collector->keys().size(), Collector::kMaxKeys + 1);
  EXPECT_EQ(collector->key(Collector::kOtherKeys).requests.value(), 200 - Collector::kMaxKeys);
}

TEST(Collector, CountsNothingWhereItIsOff) {
  const auto collector = make_collector(/*is_on=*/false);
  const RequestMeter meter(collector, collector->key(""), {.max_tokens = 4});
  meter.first_token({.since_submission = milliseconds(1), .prompt_tokens = 1});
  meter.next_token(milliseconds(1));
  meter.finish(finish_of(FinishReason::stop), milliseconds(3));
  collector->record_step({.decode_rows = 1});
  EXPECT_EQ(collector->metrics().requests.value(), 0U);
  EXPECT_EQ(collector->metrics().generated_tokens.value(), 0U);
  EXPECT_EQ(collector->metrics().steps.value(), 0U);
  RequestMeter().finish(finish_of(FinishReason::stop), milliseconds(3));  // as a default one
}

}  // namespace
}  // namespace mlxs
