// What a step holds is noted when it is submitted, as its batch is gone when it is done.
#include "engine/step_meter.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/runner.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/step_cost.h"
#include "engine/sequence.h"
#include "engine/submission_ring.h"
#include "mlx_serving/engine.h"
#include "telemetry/collector.h"
#include "telemetry/profiler.h"

namespace mlxs {

StepMeter::StepMeter(std::shared_ptr<Collector> collector)
    : collector_(collector && collector->is_on() ? std::move(collector) : nullptr) {}

void StepMeter::submitted(const Batch& batch, TimePoint now) {
  if (!collector_) return;
  InFlight entry{.step = batch.step, .record = {}, .chunks = {}};
  StepShape shape;
  for (const BatchSlice& slice : batch.slices) {
    shape.add_slice(slice.num_rows, slice.context_length);
    entry.record.context_tokens += slice.context_length;
    if (slice.num_rows > 1)
      entry.chunks.push_back({.sequence = slice.sequence, .chunk = {.num_rows = slice.num_rows}});
  }
  entry.record.decode_rows = shape.decode_rows;
  entry.record.prefill_rows = shape.prefill_rows;
  if (idle_since_ != kNever) entry.record.gap = now - idle_since_;
  idle_since_ = kNever;
  in_flight_.push_back(std::move(entry));
}

std::vector<ComputedChunk> StepMeter::completed(
    std::uint64_t step, std::chrono::nanoseconds duration, TimePoint now
) {
  if (in_flight_.empty() || in_flight_.front().step != step) return {};
  InFlight entry = std::move(in_flight_.front());
  entry.record.duration = duration;
  in_flight_.pop_front();
  if (in_flight_.empty()) idle_since_ = now;
  collector_->record_step(entry.record);
  for (ComputedChunk& computed : entry.chunks) {
    computed.chunk.begin = now - duration;
    computed.chunk.end = now;
  }
  if (collector_->profiler().is_active()) profile(entry, now);
  return std::move(entry.chunks);
}

void StepMeter::profile(const InFlight& entry, TimePoint now) {
  Profiler& profiler = collector_->profiler();
  const StepRecord& record = entry.record;
  const TimePoint begin = now - record.duration;
  if (record.gap.count() > 0)
    profiler.add(
        {.name = "gap",
         .track = ProfileTrack::host,
         .begin = begin - record.gap,
         .duration = record.gap}
    );
  profiler.add(
      {.name = "step",
       .track = ProfileTrack::device,
       .begin = begin,
       .duration = record.duration,
       .arguments =
           {{"step", static_cast<std::int64_t>(entry.step)},
            {"decode_rows", record.decode_rows},
            {"prefill_rows", record.prefill_rows}}}
  );
  profiler.count("steps in flight", begin, static_cast<std::int64_t>(in_flight_.size()) + 1);
  profiler.count("steps in flight", now, static_cast<std::int64_t>(in_flight_.size()));
}

// The kernels of a step take turns, so their sums stand one after the other, up to the step's end.
void StepMeter::profile_kernels(Runner& runner, TimePoint now) {
  const bool is_wanted = collector_ && collector_->profiler().is_active();
  if (is_wanted != is_timing_)
    runner.time_kernels(is_wanted ? KernelTiming::on : KernelTiming::off);
  const bool has_times = is_wanted && is_timing_;
  is_timing_ = is_wanted;
  if (!has_times) return;
  const std::vector<KernelTime> times = runner.take_kernel_times();
  TimePoint begin = now;
  for (const KernelTime& time : times) begin -= time.duration;
  for (const KernelTime& time : times) {
    collector_->profiler().add(
        {.name = std::string(time.name),
         .track = ProfileTrack::kernels,
         .begin = begin,
         .duration = time.duration,
         .arguments = {{"calls", time.num_calls}}}
    );
    begin += time.duration;
  }
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
