// Decides what the next step runs: first come, first served, decodes before prompts, prompts in
// chunks under a token budget. It holds no clock, thread or device and never sees text.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "cache/page_pool.h"
#include "engine/batch.h"
#include "engine/sequence.h"

namespace mlxs {

struct SchedulerOptions {
  int max_sequences = 16;  // running at once
  int step_tokens = 128;   // rows of one batch; a decode always fits: max_sequences <= step_tokens
  int num_pages = 0;       // of the KV pool
  int page_size = 32;      // tokens of a page
};

// Thread safety: none; the engine's thread owns it.
// Invariants: a running sequence holds pages for its max_length, so it never has to wait in its
// middle; a waiting or finished one holds none.
class Scheduler {
 public:
  // ERRORS: invalid_config where an option is out of range.
  explicit Scheduler(const SchedulerOptions& options);

  // REQUIRES: a fresh id, token_ids not empty, max_length > token_ids.size() and fits(max_length).
  void add(Sequence sequence);

  // RETURNS: whether a sequence of `max_length` tokens can ever run.
  [[nodiscard]] bool fits(int max_length) const;

  // Admits what fits and RETURNS the next batch; empty where nothing can run. Its spans and
  // pointers are valid until the next call of any other member.
  [[nodiscard]] Batch schedule();

  // Takes over that `batch` was computed. Sampled tokens are appended by the caller through
  // append().
  void mark_computed(const Batch& batch);
  void append(SequenceId id, std::int32_t token_id);

  // Forgets a sequence, waiting or running, and frees its pages. RETURNS: false where there is none
  // of that id.
  bool remove(SequenceId id);

  void set_paused(SequenceId id, bool is_paused);

  // RETURNS: the sequence, or null. Valid until the next call that is not const.
  [[nodiscard]] const Sequence* find(SequenceId id) const;

  // RETURNS: whether schedule() would find something to do.
  [[nodiscard]] bool has_work() const;
  [[nodiscard]] int num_running() const { return static_cast<int>(running_.size()); }
  [[nodiscard]] int num_waiting() const { return static_cast<int>(waiting_.size()); }
  [[nodiscard]] const PagePool& pool() const { return pool_; }

 private:
  [[nodiscard]] int pages_for(int num_tokens) const;
  [[nodiscard]] Sequence* find_running(SequenceId id);
  [[nodiscard]] bool can_admit() const;
  void admit();
  void add_slice(Sequence& sequence, int num_rows, Batch& batch) const;

  SchedulerOptions options_;
  PagePool pool_;
  std::deque<std::unique_ptr<Sequence>> waiting_;   // oldest first
  std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
};

}  // namespace mlxs
