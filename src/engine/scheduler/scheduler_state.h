// What a scheduler knows, and the moves of a sequence between waiting, running and ended. When to
// make which move is policy.cpp's business. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/host_slots.h"
#include "engine/scheduler/key_shares.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/step_cost.h"
#include "engine/scheduler/trace.h"
#include "engine/scheduler/waiting_queue.h"

namespace mlxs {

// Urgency of a sequence that has aged, or was preempted as often as one may be.
inline constexpr int kAgedUrgency = kMaxPriority + 1;

// What has to be known of a step when it ends.
struct StepInFlight {
  struct Row {
    SequenceId sequence = 0;
    std::uint64_t incarnation = 0;
    int num_rows = 0;
    int num_computed = 0;  // of the sequence, once the step is done
  };

  std::uint64_t step = 0;
  StepShape shape = {};
  std::vector<Row> rows = {};
  std::vector<SequenceId> samples = {};
  std::vector<SequenceId> swapped_out = {};
};

struct SchedulerState {
  SchedulerState(const SchedulerOptions& checked_options, TraceSink* trace_sink);

  const SchedulerOptions options;
  TraceSink* const trace;  // may be null
  KvCache kv;
  HostSlots hosts;
  StepCost cost;
  KeyShares shares;
  WaitingQueue queue;

  std::unordered_map<SequenceId, std::unique_ptr<Entry>> entries;
  std::vector<Entry*> running;     // most urgent first, then by arrival
  bool is_running_sorted = true;   // false: an urgency changed
  std::deque<StepInFlight> steps;  // in flight, oldest first
  std::set<std::pair<TimePoint, SequenceId>> timers;
  // Pages of each group that started prompts will still take.
  std::vector<int> promised;

  std::vector<KeyState*> charged_keys = {};
  int num_parked = 0;
  int num_swapped = 0;
  StepShape last_decodes = {};  // of the newest step

  TimePoint now = {};
  std::uint64_t next_step = 1;
  std::uint64_t next_order = 1;
  std::vector<SequenceId> swapped_out = {};  // by the step that is being made
  int starts_since_aged = 0;
  double prefill_share = 1.0;  // of the time that prompts have beside decodes
  int still_steps = 0;         // in a row, the newest included, in which decodes stood still
  double mean_run_s = 0.0;     // of a finished request, from its first row to its end
  // The sequence that did not fit last time, and the pages that were available then.
  SequenceId blocked = 0;
  int blocked_available = 0;
  int blocked_steps = 0;
  SchedulerStats totals;  // the counters only

  [[nodiscard]] Entry* find(SequenceId id) const;
  [[nodiscard]] bool has_windows() const;
  [[nodiscard]] int watermark(int group) const;
  // RETURNS: whether it was preempted as often as one may be. It starts again with the pages for
  // all that it may become, which only its reader's pace can take from it.
  [[nodiscard]] bool is_protected(const Entry& entry) const;
  [[nodiscard]] int available() const;  // pages of all groups that are free or can be

  // To waiting, or parked where its reader or its fork's parent must come first.
  void enqueue(Entry& entry);
  // Out of waiting or parked.
  void dequeue(Entry& entry);
  // Parks one that was dequeued until `leader` has computed `num_tokens`.
  void park_behind(Entry& entry, Entry& leader, int num_tokens);
  // Enqueues those that wait for no more than the entry has computed; all of them once it no
  // longer runs.
  void wake_followers(Entry& entry);

  // Runs a dequeued entry, where the pages suffice and `reserve` more in each group stay available.
  // RETURNS: false where they do not; nothing has changed then.
  [[nodiscard]] bool start(Entry& entry, int reserve, Batch& batch);
  // Lets a fork run on its parent's pages, both having computed the prompt.
  void start_fork(Entry& child, const Entry& parent);
  // Makes room for `num_tokens`. RETURNS: false where the pages do not suffice.
  [[nodiscard]] bool grow(Entry& entry, int num_tokens, Batch& batch);
  // Takes the pages from one that runs; it waits again.
  void preempt(Entry& entry, Batch& batch);
  // The batch brings its pages back from host memory before its rows.
  void swap_in(Entry& entry, Batch& batch);
  // Gives up what it has in host memory: it is to be computed again.
  void drop_host_copy(Entry& entry);
  // The step that was to save its pages did not: it is to be computed again.
  void forget_swap(Entry& entry);
  // It failed: it holds nothing any more.
  void end(Entry& entry);
  // Forgets it, in any state.
  void erase(Entry& entry, Keep keep);

  void sort_running();
  void set_urgency(Entry& entry, int urgency);
  // Accounts time of the device to it and its key; reorder_charged_keys() tells the queue.
  void charge(Entry& entry, double seconds);
  void reorder_charged_keys();
  void file_timer(Entry& entry);

  // ERRORS: std::logic_error that says which books do not agree.
  void check() const;

 private:
  [[nodiscard]] int start_tokens(const Entry& entry, int group) const;
  [[nodiscard]] bool has_pages_for(const Entry& entry, int reserve) const;
  void note_promise(Entry& entry);
  void begin_running(Entry& entry);
  void leave_running(Entry& entry, Keep keep);
  [[nodiscard]] bool swap_out(Entry& entry, Batch& batch);
};

}  // namespace mlxs
