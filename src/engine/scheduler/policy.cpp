// The whole policy, in the order in which plan() goes through it:
//   1. look_at_running: every sequence that decodes gets its row; the time that this leaves is the
//      budget for prompts.
//   2. start_waiting: as long as the budget is not spoken for, the next waiting sequence starts. A
//      more urgent one may take the place of the least urgent that runs. One whose prompt begins
//      like a prompt that is being computed waits for that.
//   3. give_rows: in order of urgency, everyone gets pages for what it will compute, and prompts
//      get rows. Who finds no pages takes them from the least urgent, youngest one behind it.
//      Decodes stand still for a step in which a prompt of a higher priority runs.
#include "engine/scheduler/policy.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <ratio>
#include <span>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/admission.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/step_cost.h"
#include "engine/sequence.h"

namespace mlxs {
namespace {

// A start that failed for want of pages is tried again after so many steps, though no page came
// free: what others computed since may be shared.
constexpr int kRetrySteps = 16;

// Steps in a row in which decodes may stand still for prompts of a higher priority.
constexpr int kMaxStillSteps = 3;

bool begins_like(const Sequence& a, const Sequence& b, int num_tokens) {
  const auto num = static_cast<std::size_t>(num_tokens);
  return a.token_ids.size() >= num && b.token_ids.size() >= num &&
         std::ranges::equal(std::span(a.token_ids).first(num), std::span(b.token_ids).first(num));
}

// Who computes the part of `entry`'s prompt before `num_tokens` now; null where nobody does.
Entry* find_leader(const SchedulerState& state, const Entry& entry, int num_tokens) {
  for (Entry* other : state.running) {
    const Sequence& leader = other->sequence;
    if (leader.num_computed >= num_tokens || leader.is_paused) continue;
    if (leader.use_cache == UseCache::no || leader.cache_salt != entry.sequence.cache_salt)
      continue;
    if (begins_like(leader, entry.sequence, num_tokens)) return other;
  }
  return nullptr;
}

}  // namespace

Policy::Policy(SchedulerState& state, Batch& batch) : state_(state), batch_(batch) {}

std::vector<PlannedSlice> Policy::plan() {
  look_at_running();
  start_waiting();
  give_rows();
  cancel_lonely_swaps();
  std::vector<PlannedSlice> plan = std::move(decode_plan_);
  plan.insert(plan.end(), prefill_plan_.begin(), prefill_plan_.end());
  return plan;
}

// ---- 1. What runs already ----------------------------------------------------------------------

void Policy::look_at_running() {
  for (const Entry* entry : state_.running) {
    if (!entry->can_run() || !entry->is_decode()) continue;
    decodes_.add_slice(1, entry->sequence.num_scheduled);
    most_urgent_decode_ = std::max(most_urgent_decode_, entry->urgency);
    num_growing_ += entry->num_known_or_fed() > entry->room ? 1 : 0;
  }
  const SchedulerOptions& options = state_.options;
  budget_.rows = options.step_tokens - decodes_.decode_rows;
  if (decodes_.decode_rows == 0) return;  // nobody waits for a token
  budget_.seconds = state_.prefill_share * prefill_seconds_beside(state_, decodes_);
  const int floor =
      options.min_prefill_rows > 0 ? options.min_prefill_rows : options.cache.page_size;
  budget_.floor = std::min(floor, budget_.rows);
}

// ---- 2. What starts ----------------------------------------------------------------------------

void Policy::start_waiting() {
  while (Entry* entry = next_waiting()) {
    if (!has_place_for(*entry) || is_known_not_to_fit(*entry) || !is_worth_starting(*entry)) return;
    if (has_to_wait_for_another(*entry)) continue;
    if (!start(*entry)) return;  // nobody overtakes it, or it might never find enough pages
  }
}

// Of aged_share starts one goes to whoever has waited longest.
Entry* Policy::next_waiting() {
  const SchedulerOptions& options = state_.options;
  Entry* oldest = state_.queue.oldest();
  if (oldest == nullptr) return nullptr;
  const std::chrono::duration<double, std::milli> waited = state_.now - oldest->sequence.arrived_at;
  const bool is_aged = options.aged_share > 0 && waited.count() > options.aging_ms &&
                       state_.starts_since_aged >= options.aged_share - 1;
  if (!is_aged) return state_.queue.best();
  state_.set_urgency(*oldest, kAgedUrgency);
  return oldest;
}

// The rows of this step are spoken for by those that run and are at least as urgent: then starting
// it would only take pages.
bool Policy::is_worth_starting(const Entry& entry) const {
  // Its newest token is in flight: what it would compute is not known yet.
  if (entry.sequence.num_in_flight > 0) return false;
  PrefillBudget rest = budget_;
  for (const Entry* other : state_.running) {
    if (other->urgency < entry.urgency || rest.rows == 0) break;
    if (other->can_run() && !other->is_decode()) (void)take_rows(*other, rest);
  }
  return take_rows(entry, rest) > 0;
}

bool Policy::has_to_wait_for_another(Entry& entry) {
  const Sequence& sequence = entry.sequence;
  if (sequence.use_cache == UseCache::no || !state_.options.prefix_caching) return false;
  if (entry.host_tokens > 0) return false;
  const auto lookup = state_.kv.look_up(sequence.token_ids, sequence.cache_salt);
  if (sequence.started_at == kNever) {
    entry.sequence.miss = lookup.miss;
    entry.sequence.first_differing_token = lookup.first_differing_token;
  }
  if (lookup.in_flight_tokens == 0) return false;
  const int num_tokens = lookup.cached_tokens + lookup.in_flight_tokens;
  Entry* leader = find_leader(state_, entry, num_tokens);
  if (leader == nullptr) return false;
  state_.dequeue(entry);
  state_.park_behind(entry, *leader, num_tokens);
  if (state_.trace != nullptr) state_.trace->parked(sequence.id, leader->sequence.id, num_tokens);
  return true;
}

bool Policy::has_place_for(const Entry& entry) const {
  return std::ssize(state_.running) < state_.options.max_sequences ||
         victim_of_start(entry) != nullptr;
}

bool Policy::start(Entry& entry) {
  const bool is_aged = entry.urgency == kAgedUrgency;
  const auto try_start = [&] {
    if (std::ssize(state_.running) >= state_.options.max_sequences) return false;
    state_.dequeue(entry);
    if (state_.start(entry, num_growing_, batch_)) return true;
    state_.enqueue(entry);
    return false;
  };
  bool has_started = try_start();
  while (!has_started && make_way(entry)) has_started = try_start();
  if (!has_started) {
    remember_not_fitting(entry);
    return false;
  }
  state_.blocked = 0;
  state_.starts_since_aged = is_aged ? 0 : state_.starts_since_aged + 1;
  state_.totals.num_aged_starts += is_aged ? 1 : 0;
  if (entry.is_decode()) --budget_.rows;  // all of it was cached or swapped
  return true;
}

bool Policy::make_way(const Entry& entry) {
  Entry* victim = victim_of_start(entry);
  if (victim == nullptr) return false;
  state_.preempt(*victim, batch_);
  return true;
}

// One that only waits for its reader, else the last that runs, where it is of lower priority.
Entry* Policy::victim_of_start(const Entry& entry) const {
  const auto is_paused = [](const Entry* other) { return other->sequence.is_paused; };
  const auto paused = std::ranges::find_if(state_.running, is_paused);
  if (paused != state_.running.end()) return *paused;
  for (Entry* other : std::views::reverse(state_.running)) {
    if (other->urgency >= entry.sequence.priority) return nullptr;
    if (!other->is_reserved && !state_.is_protected(*other)) return other;
  }
  return nullptr;
}

bool Policy::is_known_not_to_fit(const Entry& entry) {
  return state_.blocked == entry.sequence.id && state_.available() <= state_.blocked_available &&
         ++state_.blocked_steps < kRetrySteps;
}

void Policy::remember_not_fitting(const Entry& entry) {
  state_.blocked = entry.sequence.id;
  state_.blocked_available = state_.available();
  state_.blocked_steps = 0;
}

// ---- 3. What gets pages and rows ---------------------------------------------------------------

void Policy::give_rows() {
  // A copy: make_room() preempts, though never one that has got its rows.
  const std::vector<Entry*> running = state_.running;
  bool has_left_out = false;
  for (Entry* running_entry : running) {
    Entry& entry = *running_entry;
    if (!entry.can_run()) continue;
    if (!entry.is_decode()) {
      give_prefill_rows(entry);
    } else if (stands_still(entry)) {
      has_left_out = true;
    } else if (make_room(entry, entry.sequence.num_scheduled + 1)) {
      decode_plan_.push_back({.entry = &entry, .num_rows = 1});
    }
  }
  state_.still_steps = has_left_out ? state_.still_steps + 1 : 0;
}

// Its next token would come no sooner in the same step as the prompt, but the prompt's first token
// comes sooner without it.
bool Policy::stands_still(const Entry& decode) const {
  return !prefill_plan_.empty() && state_.still_steps < kMaxStillSteps &&
         decode.sequence.priority < prefill_plan_.front().entry->sequence.priority;
}

void Policy::give_prefill_rows(Entry& entry) {
  PrefillBudget rest = budget_;
  int num_rows = take_rows(entry, rest);
  // What fits in fewer pages is better than nothing.
  while (num_rows > 0 && !make_room(entry, entry.sequence.num_scheduled + num_rows)) num_rows /= 2;
  if (num_rows == 0) return;
  prefill_plan_.push_back({.entry = &entry, .num_rows = num_rows});
  budget_ = rest;
}

// A prompt has to spare the decodes that are at least as urgent as it is, others not.
int Policy::take_rows(const Entry& entry, PrefillBudget& budget) const {
  const int context = entry.sequence.num_scheduled;
  const int most = std::min(std::max(1, entry.num_pending()), budget.rows);
  const bool is_free = decodes_.decode_rows == 0 || entry.urgency > most_urgent_decode_;
  const int affordable = is_free ? most : state_.cost.rows_within(budget.seconds, context, most);
  const int num_rows = std::min(most, std::max(affordable, budget.floor));
  budget.rows -= num_rows;
  budget.floor -= std::min(budget.floor, num_rows);
  budget.seconds -= state_.cost.prefill_seconds(num_rows, context);
  return num_rows;
}

bool Policy::make_room(Entry& entry, int num_tokens) {
  while (!state_.grow(entry, num_tokens, batch_)) {
    Entry* victim = victim_for(entry);
    if (victim == nullptr) return false;  // it keeps what it has, and others finish
    state_.preempt(*victim, batch_);
  }
  return true;
}

// One whose reader is slow; else the last one that runs, behind `entry`, so without a place in this
// step. One that was preempted too often is the last to be asked, and never once it has the pages
// for all it may become.
Entry* Policy::victim_for(const Entry& entry) const {
  Entry* protected_one = nullptr;
  for (Entry* other : state_.running) {
    if (other->sequence.is_paused) return other;
  }
  for (Entry* other : std::views::reverse(state_.running)) {
    if (other == &entry) break;
    if (other->is_reserved) continue;
    if (!state_.is_protected(*other)) return other;
    if (protected_one == nullptr) protected_one = other;
  }
  return protected_one;
}

// A step without rows is never run, so nothing would be saved.
void Policy::cancel_lonely_swaps() {
  if (!decode_plan_.empty() || !prefill_plan_.empty()) return;
  for (const SequenceId id : state_.swapped_out) state_.forget_swap(*state_.find(id));
  state_.swapped_out.clear();
  batch_.swap_out.clear();
}

}  // namespace mlxs
