// Rows, feeds and samples, sequence by sequence.
#include "engine/scheduler/batch_builder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
       .rules = sequence.rules.get(),
       .mirostat_mu = sequence.mirostat_mu,
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

// The prompt's tokens that the slice's rows predict.
void add_scores(const Sequence& sequence, const BatchSlice& slice, Batch& batch) {
  const std::optional<int> num_top = sequence.sampling.logprobs.prompt_num_top;
  if (!num_top) return;
  for (int i = 0; i < slice.num_rows; ++i) {
    const int position = slice.context_length + i + 1;
    if (position >= sequence.num_prompt_tokens) return;
    batch.scores.push_back(
        {.sequence = sequence.id,
         .row = slice.first_row + i,
         .position = position,
         .target = sequence.token_ids[static_cast<std::size_t>(position)],
         .num_top = *num_top}
    );
  }
}

// The prompt's rows that are pooled.
void add_pool(const Sequence& sequence, const BatchSlice& slice, Batch& batch) {
  if (!sequence.pooling) return;
  const int end = std::min(slice.context_length + slice.num_rows, sequence.num_prompt_tokens);
  int first = slice.context_length;
  if (*sequence.pooling == Pooling::last) first = std::max(first, sequence.num_prompt_tokens - 1);
  if (first >= end) return;
  batch.pools.push_back(
      {.sequence = sequence.id,
       .first_row = slice.first_row + first - slice.context_length,
       .num_rows = end - first,
       .first_position = first}
  );
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
  add_scores(sequence, batch.slices.back(), batch);
  add_pool(sequence, batch.slices.back(), batch);
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
