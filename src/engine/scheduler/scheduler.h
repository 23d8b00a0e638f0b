// Decides what each step runs: decodes first, prompts in chunks under a budget of time, by
// priority, fair share and arrival, on paged KV memory. policy.cpp is the policy. It holds no
// clock, thread or device and never sees text: time and the results of steps are told to it, and
// equal calls give equal answers.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"
#include "mlx_serving/error.h"

namespace mlxs {

class TraceSink;
struct SchedulerState;

// The answer to add().
struct Admission {
  // None: taken. Otherwise rate_limit_exceeded: the queue is full. overloaded: it cannot be in time
  // behind what waits now. deadline_exceeded: not even an idle engine makes it; retrying is no use.
  std::optional<ErrorCode> refusal = {};
  double predicted_ttft_ms = 0.0;  // from now; 0 before the cost of steps is known
  double retry_after_s = 0.0;      // whole seconds, at least 1; 0 where it is taken or hopeless

  [[nodiscard]] bool is_accepted() const { return !refusal; }
};

// RETURNS: the error that tells a caller of a refusal. REQUIRES: !admission.is_accepted().
[[nodiscard]] Error refusal_error(const Admission& admission);

// How a step in flight ended well.
struct StepReport {
  std::uint64_t step = 0;  // Batch::step
  // The time it took on the device: from the later of its submission and the end of the step before
  // to its own end.
  std::chrono::nanoseconds duration{0};
  TimePoint completed_at = {};
  std::span<const SampledToken> tokens = {};  // answers Batch::samples, in order
};

// A token that came out of a step and counts.
struct NewToken {
  SequenceId sequence = 0;
  SampledToken token = {};
};

struct KeyShare {
  std::string key = {};
  double weight = 1.0;
  double token_time_ms = 0.0;  // of the device, since the key was last idle for long
  int num_running = 0;
  int num_waiting = 0;
};

struct SchedulerStats {
  int num_running = 0;      // hold pages and take part in steps
  int num_waiting = 0;      // all others that were added, parked ones included
  int num_parked = 0;       // of those waiting: for a prefix that another one computes, or paused
  int num_swapped = 0;      // of those waiting: pages in host memory
  int num_in_flight = 0;    // steps
  int host_pages_used = 0;  // of all groups
  int prefill_budget = 0;   // prompt rows that the newest step could have taken
  double predicted_decode_ms = 0.0;  // of a step with the newest one's decodes alone
  double prefill_rows_per_s = 0.0;   // predicted, beside those decodes
  std::uint64_t num_steps = 0;       // completed
  std::uint64_t num_failed_steps = 0;
  std::uint64_t num_decode_rows = 0;
  std::uint64_t num_prefill_rows = 0;
  std::uint64_t num_prompt_tokens = 0;  // of sequences that started
  std::uint64_t num_cached_tokens = 0;  // of those
  std::uint64_t num_recomputes = 0;     // preemptions
  std::uint64_t num_swaps = 0;
  std::uint64_t num_aged_starts = 0;
  std::uint64_t num_refused_queue_full = 0;
  std::uint64_t num_refused_deadline = 0;
  std::uint64_t num_expired = 0;
};

// Steps are pipelined: schedule() may be called while earlier steps are in flight and takes for
// granted that they succeed. A decode whose token is not known yet is fed on the device
// (Batch::feeds). That a sequence ended by its stop tokens is known one step late: remove() it, and
// its rows in later steps count for nothing. That it reached max_length is known by counting. Pages
// are handed out anew at once: the device runs steps in order. A fork's first sample is of its
// parent's last prompt row: BatchSample::row is then in a slice of the parent, not of the sample's
// sequence.
//
// Thread safety: none; the engine's thread owns it.
// Invariants: a sequence is running (it holds pages), waiting (it holds none, at most host slots),
// or ended by a failure and not removed yet (it holds nothing); check() tells.
class Scheduler {
 public:
  // `trace` hears of every call and decision; null: none. It must outlive the scheduler.
  // ERRORS: invalid_config where an option is out of range.
  explicit Scheduler(const SchedulerOptions& options, TraceSink* trace = nullptr);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  Scheduler(Scheduler&&) = delete;
  Scheduler& operator=(Scheduler&&) = delete;

  // RETURNS: whether a sequence of `max_length` tokens can ever run.
  [[nodiscard]] bool fits(int max_length) const;

  // Queues a sequence, or refuses it at once; a refused one is forgotten. A fork is never refused.
  // ERRORS: std::logic_error where the id is in use, token_ids is empty or not the prompt,
  // max_length <= token_ids.size(), !fits(max_length), or the priority is out of range.
  [[nodiscard]] Admission add(Sequence sequence, TimePoint now);

  // RETURNS: the next step, which is in flight from then on; is_empty() where nothing can run, and
  // then it is no step. Its spans and pointers are valid until the next call of a member that is
  // not const.
  [[nodiscard]] Batch schedule(TimePoint now);

  // The oldest step in flight is done. Appends its tokens, commits its keys and values, accounts
  // its time to the keys.
  // RETURNS: the tokens that count, in the order of the samples: those of sequences that are still
  // there. One that is not finite is not appended, and its sequence runs no more: remove() it with
  // Keep::nothing.
  // ERRORS: std::logic_error where `step` is not the oldest one or tokens.size() is not its
  // samples'.
  std::vector<NewToken> complete(const StepReport& report);

  // The oldest step in flight failed: no token of it counts, none of its keys and values is cached.
  // RETURNS: its sequences that are still there. They run no more, and their rows in later steps
  // count for nothing; the caller ends them: remove() with Keep::nothing.
  // ERRORS: std::logic_error where `step` is not the oldest one.
  std::vector<SequenceId> fail(std::uint64_t step);

  // Forgets a sequence that finished or was cancelled, in any state, also while steps with it are
  // in flight. Keep::cached leaves what completed steps computed in the prefix cache.
  // RETURNS: false where there is none of that id.
  bool remove(SequenceId id, Keep keep);

  // A paused sequence takes part in no step. It keeps its pages until another one needs them.
  void set_paused(SequenceId id, bool is_paused);

  // Prompts get this share of the time that they would have beside decodes, from the next step on;
  // 1 unless told otherwise. A step's least number of prompt rows stays. It is no input of a trace:
  // a replay decides as if it had stayed 1. REQUIRES: 0 < share <= 1.
  void set_prefill_share(double share);

  // RETURNS: waiting sequences that miss a deadline even if they start now, and any whose
  // `deadline` passed; each is told once. The caller ends them: remove().
  [[nodiscard]] std::vector<SequenceId> expired(TimePoint now);

  // RETURNS: the sequence, or null. Valid until the next call that is not const.
  [[nodiscard]] const Sequence* find(SequenceId id) const;

  // RETURNS: when the first token of a further prompt of `num_rows` uncached tokens would be there,
  // from now, behind what waits with at least this priority; 0 before the cost of steps is known.
  [[nodiscard]] double predict_ttft_ms(int num_rows, int priority) const;

  [[nodiscard]] int num_running() const;
  [[nodiscard]] int num_waiting() const;
  [[nodiscard]] SchedulerStats stats() const;
  // RETURNS: the keys that have something here or had lately, by name.
  [[nodiscard]] std::vector<KeyShare> key_shares() const;

  // The pages. Others may read; only the persistent tier adds to it, between two calls.
  [[nodiscard]] const KvCache& cache() const;
  [[nodiscard]] KvCache& cache();

  // Counts everything anew. ERRORS: std::logic_error that says which invariant is broken. For
  // tests.
  void check() const;

 private:
  std::unique_ptr<SchedulerState> state_;
};

}  // namespace mlxs
