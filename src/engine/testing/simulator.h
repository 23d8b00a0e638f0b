// Runs a scheduler on a SimDevice in virtual time: what the tests and figures of the policy are
// made with. Requests arrive, steps are in flight two at a time, and every token is checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/testing/sim_device.h"

namespace mlxs {

struct SimRequest {
  double arrives_s = 0.0;
  int num_output = 1;
  std::vector<std::int32_t> prompt_ids = {};
  int priority = 0;
  std::string key = {};
  double ttft_deadline_s = 0.0;  // after its arrival; 0: none
  double deadline_s = 0.0;
  SequenceId fork_of = 0;
  UseCache use_cache = UseCache::yes;
};

enum class SimEnd { open, finished, refused, expired };

struct SimOutcome {
  SimEnd end = SimEnd::open;
  Admission admission = {};
  double arrived_s = 0.0;
  std::vector<double> token_s = {};  // when each token was there
  std::vector<std::int32_t> output_ids = {};
  int num_cached_tokens = 0;
  int num_preemptions = 0;
  double ended_s = 0.0;

  [[nodiscard]] double ttft_s() const { return token_s.at(0) - arrived_s; }
};

class Simulator {
 public:
  explicit Simulator(
      const SchedulerOptions& options, SimCost cost = {}, TraceSink* trace = nullptr
  );

  // Sequences are numbered from 1 in the order of the calls. RETURNS: the number.
  SequenceId send(SimRequest request);

  // Runs until nothing is left to do or `until_s`.
  // ERRORS: std::logic_error where work is left that the scheduler never runs, or a token is wrong.
  void run(double until_s = 1e9);

  // Ends it as a client that goes away does.
  void cancel(SequenceId id);

  [[nodiscard]] const SimOutcome& outcome(SequenceId id) const { return outcomes_.at(id); }
  [[nodiscard]] const std::map<SequenceId, SimOutcome>& outcomes() const { return outcomes_; }
  [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
  [[nodiscard]] double now_s() const { return now_s_; }
  [[nodiscard]] std::size_t max_rows_of_a_step() const { return max_rows_; }
  [[nodiscard]] std::uint64_t num_prefill_rows() const {
    return scheduler_.stats().num_prefill_rows;
  }

 private:
  struct Flight {
    std::uint64_t step = 0;
    double ends_s = 0.0;
    std::chrono::nanoseconds duration{0};
    std::vector<SampledToken> tokens = {};
  };

  [[nodiscard]] TimePoint time() const;
  void take_arrivals();
  void end_expired();
  void submit_steps();
  void collect_oldest();
  void take_token(const NewToken& token);
  void finish(SequenceId id, SimEnd end);

  Scheduler scheduler_;
  SimDevice device_;
  std::multimap<double, SequenceId> arrivals_;
  std::map<SequenceId, SimRequest> requests_;
  std::map<SequenceId, SimOutcome> outcomes_;
  std::deque<Flight> flights_;
  double now_s_ = 0.0;
  double device_free_s_ = 0.0;
  std::size_t max_rows_ = 0;
  SequenceId next_id_ = 1;
};

// RETURNS: the value below which a `share` of them lies. REQUIRES: not empty.
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace mlxs
