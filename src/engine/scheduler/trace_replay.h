// Runs a recorded trace again: feeds its inputs to a new scheduler and compares the decisions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/scheduler/json_trace.h"
#include "engine/scheduler/scheduler.h"

namespace mlxs {

struct TraceDifference {
  std::uint64_t line = 0;     // of the trace, from 1
  std::string recorded = {};  // empty: the replay says something more
  std::string replayed = {};  // empty: the replay says nothing
};

class TraceReplay {
 public:
  // Takes the next line. RETURNS: the first difference so far; nothing where all was equal.
  // ERRORS: invalid_request where the line is not one of a trace, or the trace does not begin with
  // the scheduler's options; whatever the scheduler throws for an impossible input.
  std::optional<TraceDifference> feed(std::string_view line);

  // The scheduler as it stands; null before the first line.
  [[nodiscard]] const Scheduler* scheduler() const { return scheduler_.get(); }

 private:
  void run(const json::object& event);
  void create(const json::object& event);
  void complete(const json::object& event);
  [[nodiscard]] std::optional<TraceDifference> compare() const;

  std::uint64_t num_lines_ = 0;
  std::vector<std::string> recorded_;  // since the last input
  std::vector<std::string> replayed_;
  std::unique_ptr<JsonTrace> trace_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace mlxs
