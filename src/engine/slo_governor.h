// The hook by which targets that burn reach the scheduler: prompts get less of each step, or new
// requests are refused, until the last minute is within the targets again.
#pragma once

#include <memory>

#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"
#include "telemetry/collector.h"

namespace mlxs {

// Thread safety: none; the engine's thread owns it.
class SloGovernor {
 public:
  // `collector` may be null: then it does nothing.
  SloGovernor(std::shared_ptr<const Collector> collector, SloAction action);

  // Looks at the burn rates, once a second at most, and tells the scheduler.
  void apply(Scheduler& scheduler, TimePoint now);

  // RETURNS: whether a new request is shed.
  [[nodiscard]] bool refuses(const Sequence& sequence) const {
    return is_shedding_ && sequence.priority <= 0;
  }
  [[nodiscard]] static Error refusal();

 private:
  const std::shared_ptr<const Collector> collector_;  // shared with the engine's face
  const SloAction action_;
  TimePoint looked_at_ = {};
  double prefill_share_ = 1.0;
  bool is_shedding_ = false;
};

}  // namespace mlxs
