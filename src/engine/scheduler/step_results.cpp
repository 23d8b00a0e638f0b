// How a step in flight ends: well (complete) or not (fail).
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/trace.h"
#include "engine/sequence.h"
#include "sampling/sampling_batch.h"

namespace mlxs {
namespace {

StepInFlight take_oldest(SchedulerState& state, std::uint64_t step, std::string_view caller) {
  if (state.steps.empty() || state.steps.front().step != step) {
    throw std::logic_error(fmt::format(
        "Scheduler::{}: step {} is not the oldest in flight ({})",
        caller,
        step,
        state.steps.empty() ? 0 : state.steps.front().step
    ));
  }
  StepInFlight oldest = std::move(state.steps.front());
  state.steps.pop_front();
  return oldest;
}

void commit_row(
    SchedulerState& state, Entry& entry, const StepInFlight::Row& row, std::uint64_t step
) {
  Sequence& sequence = entry.sequence;
  const int page_size = state.options.cache.page_size;
  // The cache cares for whole pages, and for what was brought back from the host.
  entry.is_unmarked =
      entry.is_unmarked || row.num_computed / page_size > sequence.num_computed / page_size;
  sequence.num_computed = row.num_computed;
  // A page that a step in flight copies would be shared before it is filled.
  if (entry.is_unmarked && entry.copied_in <= step) {
    state.kv.mark_computed(sequence.id, sequence.token_ids, sequence.num_computed);
    entry.is_unmarked = false;
  }
  if (!entry.is_unmarked) state.wake_followers(entry);
}

void take_over_rows(SchedulerState& state, const StepInFlight& step, double seconds) {
  const double seconds_a_row = seconds / (step.shape.decode_rows + step.shape.prefill_rows);
  for (const StepInFlight::Row& row : step.rows) {
    Entry* entry = state.find(row.sequence);
    if (entry == nullptr || entry->state == EntryState::ended) continue;
    state.charge(*entry, seconds_a_row * row.num_rows);
    // Otherwise the pages that the row was computed in are gone.
    if (entry->is_running() && entry->incarnation == row.incarnation)
      commit_row(state, *entry, row, step.step);
  }
  state.reorder_charged_keys();
}

// A fork has its first token: it runs on its parent's pages, or queues for its own.
void let_fork_go(SchedulerState& state, Entry& child, std::uint64_t step) {
  Entry* parent = state.find(child.sequence.fork_of);
  const bool can_share = parent != nullptr && parent->copied_in <= step && parent->is_running() &&
                         !child.sequence.is_paused &&
                         parent->sequence.num_computed >= child.sequence.num_prompt_tokens &&
                         static_cast<int>(state.running.size()) < state.options.max_sequences;
  state.dequeue(child);
  if (!can_share) {
    state.enqueue(child);
    return;
  }
  state.kv.mark_computed(
      parent->sequence.id, parent->sequence.token_ids, parent->sequence.num_computed
  );
  parent->room = 0;  // the next row of either writes to a page that both have
  state.start_fork(child, *parent);
}

void append_token(
    SchedulerState& state, Entry& entry, const SampledToken& token, const StepReport& report
) {
  Sequence& sequence = entry.sequence;
  entry.in_flight.erase(entry.in_flight.begin());
  --sequence.num_in_flight;
  if (!token.is_finite) {
    state.end(entry);
    return;
  }
  sequence.token_ids.push_back(token.id);
  sequence.mirostat_mu =
      next_mirostat_mu(sequence.sampling.mirostat, sequence.mirostat_mu, token.surprise);
  if (sequence.first_token_at == kNever) sequence.first_token_at = report.completed_at;
  if (entry.state == EntryState::parked && entry.leader == sequence.fork_of && entry.leader != 0) {
    let_fork_go(state, entry, report.step);
  } else if (entry.timer != kNever) {
    state.file_timer(entry);
  }
}

}  // namespace

std::vector<NewToken> Scheduler::complete(const StepReport& report) {
  SchedulerState& state = *state_;
  if (!state.steps.empty() && state.steps.front().samples.size() != report.tokens.size()) {
    throw std::logic_error(fmt::format(
        "Scheduler::complete: {} tokens for {} samples",
        report.tokens.size(),
        state.steps.front().samples.size()
    ));
  }
  const StepInFlight step = take_oldest(state, report.step, "complete");
  state.now = std::max(state.now, report.completed_at);
  const double seconds = std::chrono::duration<double>(report.duration).count();
  state.cost.learn(step.shape, seconds);
  ++state.totals.num_steps;
  state.totals.num_decode_rows += static_cast<std::uint64_t>(step.shape.decode_rows);
  state.totals.num_prefill_rows += static_cast<std::uint64_t>(step.shape.prefill_rows);

  take_over_rows(state, step, seconds);

  std::vector<NewToken> tokens;
  tokens.reserve(step.samples.size());
  for (std::size_t i = 0; i < step.samples.size(); ++i) {
    Entry* entry = state.find(step.samples[i]);
    if (entry == nullptr || entry->state == EntryState::ended) continue;
    tokens.push_back({.sequence = step.samples[i], .token = report.tokens[i]});
    append_token(state, *entry, report.tokens[i], report);
  }
  if (state.trace != nullptr) state.trace->completed(report);
  return tokens;
}

std::vector<SequenceId> Scheduler::fail(std::uint64_t step_number) {
  SchedulerState& state = *state_;
  const StepInFlight step = take_oldest(state, step_number, "fail");
  ++state.totals.num_failed_steps;

  std::vector<SequenceId> lost;
  const auto lose = [&](SequenceId id) {
    Entry* entry = state.find(id);
    if (entry == nullptr || entry->state == EntryState::ended) return;
    lost.push_back(id);
    state.end(*entry);
  };
  for (const StepInFlight::Row& row : step.rows) lose(row.sequence);
  for (const SequenceId id : step.samples) lose(id);
  // What it copied, or saved in host memory, is not to be trusted, nor what later steps made of it.
  const std::vector<Entry*> running = state.running;
  for (const Entry* entry : running) {
    if (entry->copied_in == step_number) lose(entry->sequence.id);
  }
  for (const SequenceId id : step.swapped_out) {
    Entry* entry = state.find(id);
    if (entry == nullptr) continue;
    if (entry->is_running()) {
      lose(id);
    } else if (entry->host_tokens > 0) {
      state.forget_swap(*entry);
    }
  }
  if (state.trace != nullptr) state.trace->failed(step_number, lost);
  return lost;
}

}  // namespace mlxs
