// Where a scheduler tells its inputs and its decisions, so that a run can be read afterwards and
// replayed.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "cache/kv_cache.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/sequence.h"

namespace mlxs {

struct Admission;
struct StepReport;

// Thread safety: called by the scheduler's thread only, within the scheduler's calls. A sink must
// not call the scheduler.
class TraceSink {
 public:
  TraceSink() = default;
  virtual ~TraceSink() = default;
  TraceSink(const TraceSink&) = delete;
  TraceSink& operator=(const TraceSink&) = delete;

  // Inputs, with what was decided at once.
  virtual void created(const SchedulerOptions& options) = 0;
  virtual void added(const Sequence& sequence, TimePoint now, const Admission& admission) = 0;
  virtual void scheduled(TimePoint now, const Batch& batch) = 0;
  virtual void completed(const StepReport& report) = 0;
  virtual void failed(std::uint64_t step, std::span<const SequenceId> sequences) = 0;
  virtual void removed(SequenceId id, Keep keep) = 0;
  virtual void paused(SequenceId id, bool is_paused) = 0;
  virtual void expired(TimePoint now, std::span<const SequenceId> sequences) = 0;

  // Decisions inside schedule(), before scheduled().
  virtual void started(SequenceId id, int cached_tokens) = 0;
  virtual void preempted(SequenceId id, PreemptionKind kind) = 0;
  virtual void parked(SequenceId id, SequenceId leader, int num_tokens) = 0;
};

}  // namespace mlxs
