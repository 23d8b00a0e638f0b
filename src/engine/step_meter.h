// Tells the collector of the steps: what was in each, how long the device took, how long it had
// nothing to do before. Of a request it tells its tokens.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/runner.h"
#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "engine/submission_ring.h"
#include "mlx_serving/engine.h"
#include "telemetry/collector.h"
#include "telemetry/request_trace.h"

namespace mlxs {

// Rows of a prompt that a step computed.
struct ComputedChunk {
  SequenceId sequence = 0;
  PrefillChunk chunk;
};

// Thread safety: none; the engine's thread owns it.
class StepMeter {
 public:
  // `collector` may be null: nothing is counted.
  explicit StepMeter(std::shared_ptr<Collector> collector);

  // A step went to the device.
  void submitted(const Batch& batch, TimePoint now);
  // The oldest one came back well. `duration` as CollectedStep's. RETURNS: the parts of prompts
  // that it computed.
  std::vector<ComputedChunk> completed(
      std::uint64_t step, std::chrono::nanoseconds duration, TimePoint now
  );
  // Writes the kernels of the newest step into the profile, and lets the runner time them while one
  // is taken.
  void profile_kernels(Runner& runner, TimePoint now);
  // One failed, or was never submitted.
  void dropped(std::uint64_t step);
  // There is nothing to run: the time until the next step is no gap.
  void pause();

 private:
  struct InFlight {
    std::uint64_t step = 0;
    StepRecord record;
    std::vector<ComputedChunk> chunks;  // without times
  };

  void profile(const InFlight& entry, TimePoint now);

  const std::shared_ptr<Collector> collector_;  // shared with the engine's face
  std::deque<InFlight> in_flight_;
  bool is_timing_ = false;         // the runner times its kernels
  TimePoint idle_since_ = kNever;  // the device has nothing although work is pending
};

// Counts the newest token of `sequence`. `last_token_at` is of the one before.
void count_token(
    const RequestMeter& meter, const Sequence& sequence, TimePoint last_token_at, TimePoint now
);

[[nodiscard]] SchedulerFigures figures_of(const SchedulerStats& stats);
[[nodiscard]] RingFigures figures_of(const SubmissionRingStats& stats);

}  // namespace mlxs
