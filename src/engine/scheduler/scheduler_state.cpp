// Moves between waiting, parked, running and ended, with the books of pages, host slots, keys and
// deadlines.
#include "engine/scheduler/scheduler_state.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/trace.h"
#include "engine/sequence.h"

namespace mlxs {
namespace {

constexpr double kNewRunShare = 0.05;

bool runs_before(const Entry* a, const Entry* b) {
  return a->urgency != b->urgency ? a->urgency > b->urgency : a->order < b->order;
}

std::chrono::nanoseconds from_seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

}  // namespace

SchedulerState::SchedulerState(const SchedulerOptions& checked_options, TraceSink* trace_sink)
    : options(checked_options),
      trace(trace_sink),
      kv({.layout = options.cache, .prefix_caching = options.prefix_caching}),
      hosts(options.cache.groups.size(), options.host_pages),
      shares(options),
      promised(options.cache.groups.size(), 0) {}

Entry* SchedulerState::find(SequenceId id) const {
  const auto found = entries.find(id);
  return found == entries.end() ? nullptr : found->second.get();
}

bool SchedulerState::has_windows() const {
  return std::ranges::any_of(options.cache.groups, [](const PageGroup& group) {
    return group.window > 0;
  });
}

int SchedulerState::watermark(int group) const {
  const int num_pages = options.cache.groups[static_cast<std::size_t>(group)].num_pages;
  return static_cast<int>(options.watermark * num_pages);
}

bool SchedulerState::is_protected(const Entry& entry) const {
  return entry.num_preemptions >= options.max_preemptions;
}

int SchedulerState::available() const {
  int sum = 0;
  for (std::size_t group = 0; group < promised.size(); ++group)
    sum += kv.available(static_cast<int>(group));
  return sum;
}

void SchedulerState::enqueue(Entry& entry) {
  const Entry* parent = entry.sequence.fork_of == 0 ? nullptr : find(entry.sequence.fork_of);
  const bool waits_for_parent = parent != nullptr && parent->state != EntryState::ended &&
                                !entry.has_first_token() &&
                                parent->num_known_or_fed() == parent->sequence.num_prompt_tokens;
  if (waits_for_parent && !entry.sequence.is_paused) {
    park_behind(entry, *find(entry.sequence.fork_of), entry.sequence.num_prompt_tokens);
    return;
  }
  if (entry.sequence.is_paused) {
    entry.state = EntryState::parked;
    ++num_parked;
    ++entry.key->num_waiting;
  } else {
    entry.state = EntryState::waiting;
    queue.push(entry);
  }
  file_timer(entry);
}

void SchedulerState::park_behind(Entry& entry, Entry& leader, int num_tokens) {
  entry.state = EntryState::parked;
  ++num_parked;
  entry.leader = leader.sequence.id;
  entry.leader_tokens = num_tokens;
  ++entry.key->num_waiting;
  leader.followers.push_back(entry.sequence.id);
  // The leader works for all of them.
  if (leader.is_running()) set_urgency(leader, std::max(leader.urgency, entry.urgency));
  file_timer(entry);
}

void SchedulerState::dequeue(Entry& entry) {
  if (entry.state == EntryState::waiting) {
    queue.erase(entry);
    return;
  }
  --num_parked;
  --entry.key->num_waiting;
  if (entry.leader == 0) return;
  if (Entry* leader = find(entry.leader)) std::erase(leader->followers, entry.sequence.id);
  entry.leader = 0;
}

void SchedulerState::wake_followers(Entry& entry) {
  if (entry.followers.empty()) return;
  const bool is_over = entry.state == EntryState::ended || !entry.is_running();
  // A copy: dequeue() takes the woken ones off the list.
  const std::vector<SequenceId> followers = entry.followers;
  for (const SequenceId id : followers) {
    Entry& follower = *find(id);
    const bool is_fork = follower.sequence.fork_of == entry.sequence.id;
    // Forks go on when their first token is there; complete() sees to them.
    if (is_fork && (entry.is_running() || entry.state == EntryState::waiting)) continue;
    if (!is_over && entry.sequence.num_computed < follower.leader_tokens) continue;
    dequeue(follower);
    enqueue(follower);
  }
}

void SchedulerState::set_urgency(Entry& entry, int urgency) {
  if (entry.urgency == urgency) return;
  entry.urgency = urgency;
  is_running_sorted = is_running_sorted && !entry.is_running();
}

// Tokens for which pages must be there before a sequence starts, so that its prompt does not get
// stuck in its middle. Groups with a window need no more than what the window and a step see.
int SchedulerState::start_tokens(const Entry& entry, int group) const {
  const Sequence& sequence = entry.sequence;
  if (is_protected(entry) && !has_windows()) return sequence.max_length;
  const int window = options.cache.groups[static_cast<std::size_t>(group)].window;
  if (window == 0) return sequence.num_tokens();
  const int computed = std::max(kv.num_computed(sequence.id), entry.host_tokens);
  return std::min(sequence.num_tokens(), computed + window + options.cache.page_size);
}

bool SchedulerState::has_pages_for(const Entry& entry, int reserve) const {
  for (int group = 0; group < static_cast<int>(promised.size()); ++group) {
    const int needed = kv.pages_needed(entry.sequence.id, start_tokens(entry, group), group);
    const int kept = promised[static_cast<std::size_t>(group)] + reserve +
                     (running.empty() ? 0 : watermark(group));
    if (needed + kept > kv.available(group)) return false;
  }
  return true;
}

void SchedulerState::note_promise(Entry& entry) {
  entry.promised.resize(promised.size(), 0);
  for (std::size_t group = 0; group < promised.size(); ++group) {
    const int index = static_cast<int>(group);
    const int needed = kv.pages_needed(entry.sequence.id, start_tokens(entry, index), index);
    promised[group] += needed - entry.promised[group];
    entry.promised[group] = needed;
  }
}

bool SchedulerState::start(Entry& entry, int reserve, Batch& batch) {
  Sequence& sequence = entry.sequence;
  const int cached =
      kv.start(sequence.id, sequence.token_ids, sequence.cache_salt, sequence.use_cache);
  const bool restores = entry.host_tokens > cached;
  const bool reserves = is_protected(entry) && !has_windows();
  const bool has_pages = has_pages_for(entry, reserve) &&
                         (!restores || kv.restore(sequence.id, entry.host_tokens)) &&
                         (!reserves || kv.grow(sequence.id, sequence.max_length, batch.copies));
  if (!has_pages) {
    kv.stop(sequence.id, Keep::nothing);
    return false;
  }
  if (!restores) drop_host_copy(entry);
  sequence.num_scheduled = restores ? entry.host_tokens : cached;
  sequence.num_computed = sequence.num_scheduled;
  if (sequence.started_at == kNever) {
    sequence.started_at = now;
    sequence.num_cached_tokens = cached;
    totals.num_prompt_tokens += static_cast<std::uint64_t>(sequence.num_prompt_tokens);
    totals.num_cached_tokens += static_cast<std::uint64_t>(cached);
  }
  entry.is_unmarked = restores;
  entry.is_reserved = reserves;
  entry.room = reserves ? sequence.max_length : 0;
  if (reserves) entry.copied_in = batch.step;
  begin_running(entry);
  note_promise(entry);
  if (trace != nullptr) trace->started(sequence.id, cached);
  return true;
}

void SchedulerState::start_fork(Entry& child, const Entry& parent) {
  kv.fork(parent.sequence.id, child.sequence.id);
  Sequence& sequence = child.sequence;
  sequence.num_scheduled = kv.num_computed(sequence.id);
  sequence.num_computed = sequence.num_scheduled;
  sequence.num_cached_tokens = sequence.num_prompt_tokens;
  sequence.started_at = now;
  totals.num_prompt_tokens += static_cast<std::uint64_t>(sequence.num_prompt_tokens);
  totals.num_cached_tokens += static_cast<std::uint64_t>(sequence.num_prompt_tokens);
  child.room = 0;
  child.promised.assign(promised.size(), 0);
  begin_running(child);
  if (trace != nullptr) trace->started(sequence.id, sequence.num_computed);
}

void SchedulerState::begin_running(Entry& entry) {
  entry.state = EntryState::running;
  entry.pages = &kv.tables(entry.sequence.id);
  ++entry.incarnation;
  running.insert(std::ranges::upper_bound(running, &entry, runs_before), &entry);
  entry.credit_s = shares.begin(*entry.key);
  queue.reorder(*entry.key);
  file_timer(entry);
}

void SchedulerState::leave_running(Entry& entry, Keep keep) {
  kv.stop(entry.sequence.id, keep);
  std::erase(running, &entry);
  for (std::size_t group = 0; group < entry.promised.size(); ++group) {
    promised[group] -= entry.promised[group];
    entry.promised[group] = 0;
  }
  shares.end(*entry.key, std::exchange(entry.credit_s, 0.0));
  queue.reorder(*entry.key);
  entry.pages = nullptr;
  entry.is_reserved = false;
  entry.room = 0;
  entry.urgency = is_protected(entry) ? kAgedUrgency : entry.sequence.priority;
}

bool SchedulerState::grow(Entry& entry, int num_tokens, Batch& batch) {
  if (num_tokens <= entry.room) return true;
  const std::size_t num_copies = batch.copies.size();
  if (!kv.grow(entry.sequence.id, num_tokens, batch.copies)) return false;
  if (batch.copies.size() > num_copies) entry.copied_in = batch.step;
  const int page_size = options.cache.page_size;
  entry.room = pages_for(num_tokens, page_size) * page_size;
  if (std::ranges::any_of(entry.promised, [](int pages) { return pages > 0; })) note_promise(entry);
  return true;
}

void SchedulerState::preempt(Entry& entry, Batch& batch) {
  Sequence& sequence = entry.sequence;
  const bool is_in_host = entry.host_tokens > 0;  // it came back and has not run since
  const bool is_swapped = is_in_host || swap_out(entry, batch);
  if (!is_swapped) {
    sequence.num_scheduled = 0;
    sequence.num_computed = 0;
  }
  ++(is_swapped ? sequence.num_swaps : sequence.num_recomputes);
  ++(is_swapped ? totals.num_swaps : totals.num_recomputes);
  if (!sequence.is_paused) ++entry.num_preemptions;
  leave_running(entry, Keep::cached);
  enqueue(entry);
  wake_followers(entry);
  if (trace != nullptr) {
    trace->preempted(sequence.id, is_swapped ? PreemptionKind::swap : PreemptionKind::recompute);
  }
}

void SchedulerState::end(Entry& entry) {
  if (entry.state == EntryState::ended) return;
  if (entry.is_running()) {
    leave_running(entry, Keep::nothing);
  } else {
    dequeue(entry);
  }
  drop_host_copy(entry);
  entry.state = EntryState::ended;
  wake_followers(entry);
  file_timer(entry);
  shares.release(*std::exchange(entry.key, nullptr));
}

void SchedulerState::erase(Entry& entry, Keep keep) {
  if (entry.is_running()) {
    const double run_s = std::chrono::duration<double>(now - entry.sequence.started_at).count();
    mean_run_s += (mean_run_s == 0.0 ? 1.0 : kNewRunShare) * (run_s - mean_run_s);
    shares.learn_request(entry.token_time_s);
    leave_running(entry, keep);
    drop_host_copy(entry);
    entry.state = EntryState::ended;
    wake_followers(entry);
    shares.release(*std::exchange(entry.key, nullptr));
  }
  end(entry);
  timers.erase({entry.timer, entry.sequence.id});
  entries.erase(entry.sequence.id);
}

void SchedulerState::charge(Entry& entry, double seconds) {
  entry.token_time_s += seconds;
  KeyShares::charge(*entry.key, seconds, entry.credit_s);
  if (entry.key->is_charged) return;
  entry.key->is_charged = true;
  charged_keys.push_back(entry.key);
}

void SchedulerState::reorder_charged_keys() {
  for (KeyState* key : charged_keys) {
    key->is_charged = false;
    queue.reorder(*key);
  }
  charged_keys.clear();
}

void SchedulerState::sort_running() {
  if (!is_running_sorted) std::ranges::sort(running, runs_before);
  is_running_sorted = true;
}

// Until it has a first token, one that waits is late once it could not have it in time even alone.
void SchedulerState::file_timer(Entry& entry) {
  const Sequence& sequence = entry.sequence;
  TimePoint timer = sequence.deadline;
  if (!entry.is_running() && !entry.has_first_token()) {
    timer = std::min(timer, sequence.ttft_deadline);
    if (timer != kNever)
      timer -= from_seconds(cost.prefill_alone(entry.estimated_rows, options.step_tokens));
  }
  if (entry.is_expired || entry.state == EntryState::ended) timer = kNever;
  if (timer == entry.timer) return;
  timers.erase({entry.timer, sequence.id});
  entry.timer = timer;
  if (timer != kNever) timers.emplace(timer, sequence.id);
}

}  // namespace mlxs
