// What an engine is made of. Engine::open makes the parts from files; tests make them by hand.
#pragma once

#include <functional>
#include <memory>

#include "cache/disk_tier.h"
#include "engine/runner.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/scheduler/trace.h"
#include "engine/submission_ring.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "telemetry/collector.h"

namespace mlxs {

struct EngineParts {
  ModelInfo info = {};
  std::shared_ptr<const TextModel> text = {};
  SchedulerOptions scheduler = {};
  SubmissionRingOptions ring = {};
  int max_queue = 256;
  int num_text_workers = 1;
  CollectorOptions telemetry = {};  // the model's facts are filled in
  SloAction slo_action = SloAction::none;
  // Counts requests and steps. An engine makes its own; a loop without one counts nothing.
  std::shared_ptr<Collector> collector = {};
  // Called on the device thread, where the runner also lives and dies; loads the weights.
  std::function<std::unique_ptr<Runner>()> make_runner = {};
  // Called on the device thread; hears of the scheduler's decisions. Not set: nobody does.
  std::function<std::unique_ptr<TraceSink>()> make_trace = {};
  // Called on the device thread; keeps the prefix cache over restarts. Not set: nothing is kept.
  std::function<std::unique_ptr<DiskTier>()> make_disk_tier = {};
};

}  // namespace mlxs
