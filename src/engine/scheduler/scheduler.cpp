// The scheduler's face: takes what it is told into its state and lets the policy decide.
#include "engine/scheduler/scheduler.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/admission.h"
#include "engine/scheduler/batch_builder.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/policy.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/trace.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

void require_fresh(const Scheduler& scheduler, const Sequence& sequence) {
  const bool is_sound =
      sequence.id != 0 && scheduler.find(sequence.id) == nullptr && !sequence.token_ids.empty() &&
      sequence.num_tokens() == sequence.num_prompt_tokens &&
      sequence.max_length > sequence.num_tokens() && scheduler.fits(sequence.max_length) &&
      std::clamp(sequence.priority, kMinPriority, kMaxPriority) == sequence.priority;
  if (is_sound) return;
  throw std::logic_error(fmt::format(
      "Scheduler::add: sequence {} has {} tokens, {} of them prompt, may grow to {} and has "
      "priority {}; or its id is in use",
      sequence.id,
      sequence.num_tokens(),
      sequence.num_prompt_tokens,
      sequence.max_length,
      sequence.priority
  ));
}

void require_prompt_of_parent(const Scheduler& scheduler, const Sequence& fork) {
  const Sequence* parent = scheduler.find(fork.fork_of);
  if (parent == nullptr) return;  // it ended meanwhile
  const auto prompt_of = [](const Sequence& sequence) {
    return std::span(sequence.token_ids)
        .first(static_cast<std::size_t>(sequence.num_prompt_tokens));
  };
  if (parent->cache_salt == fork.cache_salt &&
      std::ranges::equal(prompt_of(*parent), prompt_of(fork)))
    return;
  throw std::logic_error(fmt::format(
      "Scheduler::add: sequence {} is no fork of {}: prompt or salt differ", fork.id, parent->id
  ));
}

// Prompt rows that the cache will not spare it, as far as is known.
int uncached_rows(const SchedulerState& state, const Sequence& sequence) {
  if (sequence.fork_of != 0) return 0;
  if (sequence.use_cache == UseCache::no) return sequence.num_tokens();
  const auto lookup = state.kv.look_up(sequence.token_ids, sequence.cache_salt);
  return sequence.num_tokens() - lookup.cached_tokens - lookup.in_flight_tokens;
}

void count(const Admission& admission, SchedulerStats& totals) {
  if (admission.is_accepted()) return;
  const bool is_full = admission.refusal == ErrorCode::rate_limit_exceeded;
  ++(is_full ? totals.num_refused_queue_full : totals.num_refused_deadline);
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options, TraceSink* trace)
    : state_(std::make_unique<SchedulerState>(checked(options), trace)) {
  if (trace != nullptr) trace->created(options);
}

Scheduler::~Scheduler() = default;

bool Scheduler::fits(int max_length) const {
  const CacheLayout& layout = state_->options.cache;
  return std::ranges::all_of(layout.groups, [&](const PageGroup& group) {
    // What a window and one more page see may begin and end inside a page.
    const int windowed = pages_for(group.window, layout.page_size) + 2;
    const int whole = pages_for(max_length, layout.page_size);
    return (group.window > 0 ? std::min(windowed, whole) : whole) <= group.num_pages;
  });
}

Admission Scheduler::add(Sequence sequence, TimePoint now) {
  require_fresh(*this, sequence);
  if (sequence.fork_of != 0) require_prompt_of_parent(*this, sequence);
  SchedulerState& state = *state_;
  state.now = std::max(state.now, now);
  const int num_rows = uncached_rows(state, sequence);
  const Admission admission =
      sequence.fork_of != 0 ? Admission{} : admit(state, sequence, num_rows);
  if (state.trace != nullptr) state.trace->added(sequence, now, admission);
  count(admission, state.totals);
  if (!admission.is_accepted()) return admission;

  auto owned = std::make_unique<Entry>();
  Entry& entry = *owned;
  entry.sequence = std::move(sequence);
  entry.order = state.next_order++;
  entry.key = &state.shares.join(entry.sequence.key, entry.sequence.key_weight);
  entry.urgency = entry.sequence.priority;
  entry.estimated_rows = num_rows;
  state.entries.emplace(entry.sequence.id, std::move(owned));
  state.enqueue(entry);
  return admission;
}

Batch Scheduler::schedule(TimePoint now) {
  SchedulerState& state = *state_;
  state.now = std::max(state.now, now);
  state.sort_running();
  state.swapped_out.clear();
  Batch batch;
  batch.step = state.next_step;
  Policy policy(state, batch);
  const std::vector<PlannedSlice> plan = policy.plan();
  if (!plan.empty()) build_batch(state, plan, batch);
  if (state.trace != nullptr) state.trace->scheduled(now, batch);
  return batch;
}

bool Scheduler::remove(SequenceId id, Keep keep) {
  if (state_->trace != nullptr) state_->trace->removed(id, keep);
  Entry* entry = state_->find(id);
  if (entry == nullptr) return false;
  state_->erase(*entry, keep);
  return true;
}

void Scheduler::set_prefill_share(double share) {
  if (!(share > 0.0 && share <= 1.0))
    throw std::logic_error("Scheduler::set_prefill_share: not in (0, 1]");
  state_->prefill_share = share;
}

void Scheduler::set_paused(SequenceId id, bool is_paused) {
  SchedulerState& state = *state_;
  Entry* entry = state.find(id);
  if (entry == nullptr || entry->sequence.is_paused == is_paused) return;
  if (state.trace != nullptr) state.trace->paused(id, is_paused);
  entry->sequence.is_paused = is_paused;
  if (entry->is_running()) {
    // Who waits for what it computes would wait for its reader.
    if (is_paused) state.wake_followers(*entry);
  } else if (entry->state != EntryState::ended) {
    state.dequeue(*entry);
    state.enqueue(*entry);
  }
}

std::vector<SequenceId> Scheduler::expired(TimePoint now) {
  SchedulerState& state = *state_;
  state.now = std::max(state.now, now);
  std::vector<SequenceId> late;
  while (!state.timers.empty() && state.timers.begin()->first <= now) {
    Entry& entry = *state.find(state.timers.begin()->second);
    late.push_back(entry.sequence.id);
    entry.is_expired = true;
    state.file_timer(entry);
  }
  state.totals.num_expired += late.size();
  if (state.trace != nullptr) state.trace->expired(now, late);
  return late;
}

const Sequence* Scheduler::find(SequenceId id) const {
  const Entry* entry = state_->find(id);
  return entry == nullptr ? nullptr : &entry->sequence;
}

double Scheduler::predict_ttft_ms(int num_rows, int priority) const {
  return 1e3 * predict_ttft_s(*state_, num_rows, priority);
}

int Scheduler::num_running() const { return static_cast<int>(state_->running.size()); }

int Scheduler::num_waiting() const { return state_->queue.size() + state_->num_parked; }

SchedulerStats Scheduler::stats() const {
  const SchedulerState& state = *state_;
  SchedulerStats stats = state.totals;
  stats.num_running = num_running();
  stats.num_waiting = num_waiting();
  stats.num_parked = state.num_parked;
  stats.num_swapped = state.num_swapped;
  stats.num_in_flight = static_cast<int>(state.steps.size());
  stats.host_pages_used = state.hosts.num_used();
  stats.prefill_budget = prefill_budget(state, state.last_decodes);
  stats.predicted_decode_ms = 1e3 * state.cost.predict(state.last_decodes);
  const double step_s = state.cost.predict(state.last_decodes) +
                        state.cost.prefill_seconds(stats.prefill_budget, /*context_length=*/0);
  stats.prefill_rows_per_s = step_s > 0.0 ? stats.prefill_budget / step_s : 0.0;
  return stats;
}

std::vector<KeyShare> Scheduler::key_shares() const {
  std::vector<KeyShare> shares;
  for (const auto& [name, key] : state_->shares.all()) {
    shares.push_back(
        {.key = name,
         .weight = key->weight,
         .token_time_ms = 1e3 * key->token_time_s,
         .num_running = key->num_running,
         .num_waiting = key->num_waiting}
    );
  }
  return shares;
}

const KvCache& Scheduler::cache() const { return state_->kv; }
KvCache& Scheduler::cache() { return state_->kv; }

void Scheduler::check() const { state_->check(); }

}  // namespace mlxs
