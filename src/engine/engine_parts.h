// What an engine is made of. Engine::open makes the parts from files; tests make them by hand.
#pragma once

#include <functional>
#include <memory>

#include "engine/runner.h"
#include "engine/scheduler.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"

namespace mlxs {

struct EngineParts {
  ModelInfo info = {};
  std::shared_ptr<const TextModel> text = {};
  SchedulerOptions scheduler = {};
  int max_queue = 256;
  int num_text_workers = 1;
  // Called on the device thread, where the runner also lives and dies; loads the weights.
  std::function<std::unique_ptr<Runner>()> make_runner = {};
};

}  // namespace mlxs
