// What a step holds is noted when it is submitted, as its batch is gone when it is done.
#include "engine/step_meter.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_cost.h"
#include "engine/sequence.h"
#include "engine/submission_ring.h"
#include "mlx_serving/engine.h"
#include "telemetry/collector.h"

namespace mlxs {

StepMeter::StepMeter(std::shared_ptr<Collector> collector)
    : collector_(collector && collector->is_on() ? std::move(collector) : nullptr) {}

void StepMeter::submitted(const Batch& batch, TimePoint now) {
  if (!collector_) return;
  StepShape shape;
  for (const BatchSlice& slice : batch.slices)
    shape.add_slice(slice.num_rows, slice.context_length);
  StepRecord record{.decode_rows = shape.decode_rows, .prefill_rows = shape.prefill_rows};
  if (idle_since_ != kNever) record.gap = now - idle_since_;
  idle_since_ = kNever;
  in_flight_.push_back({.step = batch.step, .record = record});
}

void StepMeter::completed(std::uint64_t step, std::chrono::nanoseconds duration, TimePoint now) {
  if (in_flight_.empty() || in_flight_.front().step != step) return;
  StepRecord record = in_flight_.front().record;
  record.duration = duration;
  in_flight_.pop_front();
  if (in_flight_.empty()) idle_since_ = now;
  collector_->record_step(record);
}

void StepMeter::dropped(std::uint64_t step) {
  std::erase_if(in_flight_, [step](const InFlight& entry) { return entry.step == step; });
}

void StepMeter::pause() { idle_since_ = kNever; }

void count_token(
    const RequestMeter& meter, const Sequence& sequence, TimePoint last_token_at, TimePoint now
) {
  if (last_token_at != kNever) {
    meter.next_token(now - last_token_at);
    return;
  }
  meter.first_token(
      {.since_submission = now - sequence.arrived_at,
       .prompt_tokens = sequence.num_prompt_tokens,
       .cached_tokens = sequence.num_cached_tokens}
  );
}

SchedulerFigures figures_of(const SchedulerStats& stats) {
  return {
      .num_parked = stats.num_parked,
      .num_swapped = stats.num_swapped,
      .prefill_budget = stats.prefill_budget,
      .predicted_decode_ms = stats.predicted_decode_ms,
      .prefill_rows_per_s = stats.prefill_rows_per_s,
      .num_recomputes = stats.num_recomputes,
      .num_swaps = stats.num_swaps,
      .num_aged_starts = stats.num_aged_starts,
      .num_refused_queue_full = stats.num_refused_queue_full,
      .num_refused_deadline = stats.num_refused_deadline,
      .num_expired = stats.num_expired
  };
}

RingFigures figures_of(const SubmissionRingStats& stats) {
  return {
      .num_failed = stats.num_failed,
      .num_timeouts = stats.num_timeouts,
      .wait_ms = stats.wait_ms,
      .busy_ms = stats.busy_ms,
      .idle_ms = stats.idle_ms,
      .mean_occupancy = stats.mean_occupancy
  };
}

}  // namespace mlxs
