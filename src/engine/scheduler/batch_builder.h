// Writes a planned step down as a batch, and what has to be known of it when it ends. Decides
// nothing. Private to this folder.
#pragma once

#include <span>

#include "engine/batch.h"
#include "engine/scheduler/policy.h"
#include "engine/scheduler/scheduler_state.h"

namespace mlxs {

// Adds the rows and samples of `plan` to `batch`, and the step to those in flight: its sequences
// count as scheduled from then on. REQUIRES: plan is not empty; batch.step is state.next_step.
void build_batch(SchedulerState& state, std::span<const PlannedSlice> plan, Batch& batch);

}  // namespace mlxs
