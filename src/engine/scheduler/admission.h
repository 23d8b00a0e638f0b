// What a new sequence can expect: when its first token would be there, and whether that is in time.
// Private to this folder.
#pragma once

#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/step_cost.h"
#include "engine/sequence.h"

namespace mlxs {

// RETURNS: what prompts may add to a step with these decodes. REQUIRES: there are decodes.
[[nodiscard]] double prefill_seconds_beside(const SchedulerState& state, const StepShape& decodes);

// RETURNS: the rows of a prompt at its beginning that a step with these decodes takes.
[[nodiscard]] int prefill_budget(const SchedulerState& state, const StepShape& decodes);

// RETURNS: seconds until the first token of a prompt with `num_rows` rows to compute, behind what
// waits or runs with at least `priority`; 0 before the cost of steps is known.
[[nodiscard]] double predict_ttft_s(const SchedulerState& state, int num_rows, int priority);

// RETURNS: whether `sequence`, whose prompt has `num_rows` rows to compute, is taken.
[[nodiscard]] Admission admit(const SchedulerState& state, const Sequence& sequence, int num_rows);

}  // namespace mlxs
