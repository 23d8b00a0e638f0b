// The decision trace as JSON lines: one object a line, its "event" first. A decision stands before
// the call that it was taken in. Times are nanoseconds of the engine's monotonic clock. Prompts are
// in it as token ids, so it is as confidential as they are; sampling parameters are not.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "base/json.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/trace.h"

namespace mlxs {

class JsonTrace final : public TraceSink {
 public:
  // `write` takes each line, without its end.
  using Write = std::function<void(std::string_view line)>;
  explicit JsonTrace(Write write);

  void created(const SchedulerOptions& options) override;
  void added(const Sequence& sequence, TimePoint now, const Admission& admission) override;
  void scheduled(TimePoint now, const Batch& batch) override;
  void completed(const StepReport& report) override;
  void failed(std::uint64_t step, std::span<const SequenceId> sequences) override;
  void removed(SequenceId id, Keep keep) override;
  void paused(SequenceId id, bool is_paused) override;
  void expired(TimePoint now, std::span<const SequenceId> sequences) override;
  void started(SequenceId id, int cached_tokens) override;
  void preempted(SequenceId id, PreemptionKind kind) override;
  void parked(SequenceId id, SequenceId leader, int num_tokens) override;

 private:
  void put(const json::object& line);

  Write write_;
};

}  // namespace mlxs
