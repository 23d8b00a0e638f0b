// A walk of random actions over a scheduler on a SimDevice: requests come, go, pause and fork,
// steps succeed and fail, pages run out. After each action the scheduler's invariants are counted
// anew, and every token is compared with what its sequence alone would have got. What to do is
// chosen by the caller, so that random tests and fuzzers walk alike.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/testing/sim_device.h"

namespace mlxs {

class SchedulerWalk {
 public:
  // RETURNS: a number below `limit`.
  using Choose = std::function<unsigned(unsigned limit)>;

  explicit SchedulerWalk(Choose choose, TraceSink* trace = nullptr);

  // Does one action. ERRORS: std::logic_error where something is wrong.
  void act();

  // Adds nothing and fails nothing until all has ended. ERRORS: std::logic_error where that takes
  // longer than it can, so that something starves.
  void drain();

  [[nodiscard]] const Scheduler& scheduler() const { return *scheduler_; }
  [[nodiscard]] std::uint64_t num_finished() const { return num_finished_; }

 private:
  struct Live {
    std::vector<std::int32_t> token_ids = {};
    int max_length = 0;
    std::uint64_t seed = 0;
    bool is_paused = false;
    std::uint64_t added_at_step = 0;
  };
  struct Flight {
    std::uint64_t step = 0;
    bool fails = false;
    std::vector<SampledToken> tokens = {};
  };

  [[nodiscard]] SchedulerOptions choose_options();
  [[nodiscard]] bool chance(unsigned percent) { return choose_(100) < percent; }
  [[nodiscard]] SequenceId choose_live();
  [[nodiscard]] std::vector<std::int32_t> choose_prompt();
  void add();
  void add_fork(SequenceId parent);
  void admit(Sequence sequence);
  void submit(unsigned fail_percent);
  void collect();
  void take(const NewToken& token);
  void pause();
  void end_expired();
  void remove(SequenceId id, Keep keep);
  void check_batch(const Batch& batch) const;
  [[nodiscard]] std::set<std::pair<std::size_t, std::int32_t>> pages_written(const BatchSlice& slice
  ) const;

  Choose choose_;
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  SimDevice device_;
  std::map<SequenceId, Live> live_;
  std::deque<Flight> flights_;
  TimePoint now_ = TimePoint(std::chrono::seconds(1));
  SequenceId next_id_ = 1;
  std::uint64_t num_steps_ = 0;
  std::uint64_t num_finished_ = 0;
};

}  // namespace mlxs
