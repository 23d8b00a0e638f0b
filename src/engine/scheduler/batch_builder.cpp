// Rows, feeds and samples, sequence by sequence.
#include "engine/scheduler/batch_builder.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/policy.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/sequence.h"

namespace mlxs {
namespace {

void add_rows(const Entry& entry, int num_rows, Batch& batch) {
  const Sequence& sequence = entry.sequence;
  for (int position = sequence.num_scheduled; position < sequence.num_scheduled + num_rows;
       ++position) {
    batch.positions.push_back(position);
    const int num_unknown = position - sequence.num_tokens();
    if (num_unknown < 0) {
      batch.token_ids.push_back(sequence.token_ids[static_cast<std::size_t>(position)]);
      continue;
    }
    const TokenRef& source = entry.in_flight[static_cast<std::size_t>(num_unknown)];
    batch.feeds.push_back(
        {.row = static_cast<int>(batch.token_ids.size()),
         .step = source.step,
         .sample = source.sample}
    );
    batch.token_ids.push_back(0);
  }
}

void add_sample(Entry& entry, int row, StepInFlight& step, Batch& batch) {
  Sequence& sequence = entry.sequence;
  const std::span<const std::int32_t> ids = sequence.token_ids;
  const auto num_prompt = static_cast<std::size_t>(sequence.num_prompt_tokens);
  const int index = static_cast<int>(batch.samples.size());
  batch.samples.push_back(
      {.sequence = sequence.id,
       .row = row,
       .seed = sequence.seed,
       .params = &sequence.sampling,
       .prompt_ids = ids.first(num_prompt),
       .output_ids = ids.subspan(num_prompt),
       .in_flight = entry.in_flight}
  );
  step.samples.push_back(sequence.id);
  entry.in_flight.push_back({.step = batch.step, .sample = index});
  ++sequence.num_in_flight;
}

// The forks that wait for this prompt draw their first token from its last row, too.
void add_fork_samples(
    SchedulerState& state, const Entry& parent, StepInFlight& step, Batch& batch
) {
  const int row = batch.samples.back().row;
  for (const SequenceId id : parent.followers) {
    Entry& child = *state.find(id);
    const bool is_fork = child.sequence.fork_of == parent.sequence.id;
    if (is_fork && child.num_known_or_fed() == child.sequence.num_prompt_tokens)
      add_sample(child, row, step, batch);
  }
}

void add_slice(SchedulerState& state, const PlannedSlice& slice, StepInFlight& step, Batch& batch) {
  Entry& entry = *slice.entry;
  Sequence& sequence = entry.sequence;
  if (entry.host_tokens > 0) {
    state.swap_in(entry, batch);
    state.drop_host_copy(entry);
  }
  const int first_row = static_cast<int>(batch.token_ids.size());
  batch.slices.push_back(
      {.sequence = sequence.id,
       .first_row = first_row,
       .num_rows = slice.num_rows,
       .context_length = sequence.num_scheduled,
       .max_length = sequence.max_length,
       .pages = entry.pages}
  );
  add_rows(entry, slice.num_rows, batch);
  step.shape.add_slice(slice.num_rows, sequence.num_scheduled);
  if (!entry.is_decode()) ++sequence.num_chunks;
  sequence.num_scheduled += slice.num_rows;
  step.rows.push_back(
      {.sequence = sequence.id,
       .incarnation = entry.incarnation,
       .num_rows = slice.num_rows,
       .num_computed = sequence.num_scheduled}
  );
  if (entry.num_pending() > 0) return;
  const bool is_first = entry.num_known_or_fed() == sequence.num_prompt_tokens;
  add_sample(entry, first_row + slice.num_rows - 1, step, batch);
  if (is_first) add_fork_samples(state, entry, step, batch);
}

}  // namespace

void build_batch(SchedulerState& state, std::span<const PlannedSlice> plan, Batch& batch) {
  std::size_t num_rows = 0;
  for (const PlannedSlice& slice : plan) num_rows += static_cast<std::size_t>(slice.num_rows);
  batch.token_ids.reserve(num_rows);
  batch.positions.reserve(num_rows);
  batch.slices.reserve(plan.size());
  batch.samples.reserve(plan.size());

  StepInFlight step;
  step.step = batch.step;
  step.rows.reserve(plan.size());
  step.samples.reserve(plan.size());
  for (const PlannedSlice& slice : plan) add_slice(state, slice, step, batch);
  state.last_decodes = {
      .decode_rows = step.shape.decode_rows, .decode_context = step.shape.decode_context
  };
  step.swapped_out = state.swapped_out;
  state.steps.push_back(std::move(step));
  ++state.next_step;
}

}  // namespace mlxs
