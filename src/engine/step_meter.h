// Tells the collector of the steps: what was in each, how long the device took, how long it had
// nothing to do before. Of a request it tells its tokens.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>

#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "engine/submission_ring.h"
#include "mlx_serving/engine.h"
#include "telemetry/collector.h"

namespace mlxs {

// Thread safety: none; the engine's thread owns it.
class StepMeter {
 public:
  // `collector` may be null: nothing is counted.
  explicit StepMeter(std::shared_ptr<Collector> collector);

  // A step went to the device.
  void submitted(const Batch& batch, TimePoint now);
  // The oldest one came back well. `duration` as CollectedStep's.
  void completed(std::uint64_t step, std::chrono::nanoseconds duration, TimePoint now);
  // One failed, or was never submitted.
  void dropped(std::uint64_t step);
  // There is nothing to run: the time until the next step is no gap.
  void pause();

 private:
  struct InFlight {
    std::uint64_t step = 0;
    StepRecord record;
  };

  const std::shared_ptr<Collector> collector_;  // shared with the engine's face
  std::deque<InFlight> in_flight_;
  TimePoint idle_since_ = kNever;  // the device has nothing although work is pending
};

// Counts the newest token of `sequence`. `last_token_at` is of the one before.
void count_token(
    const RequestMeter& meter, const Sequence& sequence, TimePoint last_token_at, TimePoint now
);

[[nodiscard]] SchedulerFigures figures_of(const SchedulerStats& stats);
[[nodiscard]] RingFigures figures_of(const SubmissionRingStats& stats);

}  // namespace mlxs
