// The policy: what the next step runs. Private to this folder.
#pragma once

#include <vector>

#include "engine/batch.h"
#include "engine/scheduler/entry.h"
#include "engine/scheduler/scheduler_state.h"
#include "engine/scheduler/step_cost.h"
#include "engine/sequence.h"

namespace mlxs {

// The rows that one sequence gets in the step.
struct PlannedSlice {
  Entry* entry = nullptr;
  int num_rows = 0;
};

// What is left of a step for prompts.
struct PrefillBudget {
  int rows = 0;
  double seconds = 0.0;  // that they may add to it
  int floor = 0;         // rows that they get whatever they cost
};

// Decides one step. An object of it lives for one call of Scheduler::schedule().
class Policy {
 public:
  // `batch` receives the moves of pages; build_batch() writes the rows.
  Policy(SchedulerState& state, Batch& batch);

  // RETURNS: what the step runs, decodes first. Sequences were started and preempted for it.
  [[nodiscard]] std::vector<PlannedSlice> plan();

 private:
  void look_at_running();
  void start_waiting();
  void give_rows();

  [[nodiscard]] Entry* next_waiting();
  [[nodiscard]] bool is_worth_starting(const Entry& entry) const;
  [[nodiscard]] bool has_to_wait_for_another(Entry& entry);
  [[nodiscard]] bool start(Entry& entry);
  [[nodiscard]] bool has_place_for(const Entry& entry) const;
  [[nodiscard]] bool make_way(const Entry& entry);
  [[nodiscard]] Entry* victim_of_start(const Entry& entry) const;
  [[nodiscard]] bool is_known_not_to_fit(const Entry& entry);
  void remember_not_fitting(const Entry& entry);

  [[nodiscard]] bool stands_still(const Entry& decode) const;
  void give_prefill_rows(Entry& entry);
  [[nodiscard]] int take_rows(const Entry& entry, PrefillBudget& budget) const;
  [[nodiscard]] bool make_room(Entry& entry, int num_tokens);
  [[nodiscard]] Entry* victim_for(const Entry& entry) const;
  void cancel_lonely_swaps();

  SchedulerState& state_;
  Batch& batch_;
  StepShape decodes_ = {};  // of the sequences that decode
  int num_growing_ = 0;     // of those that will take a page
  int most_urgent_decode_ = kMinPriority;
  PrefillBudget budget_ = {};
  std::vector<PlannedSlice> decode_plan_ = {};
  std::vector<PlannedSlice> prefill_plan_ = {};
};

}  // namespace mlxs
