// A model that a server can load while it runs, beside the one that it was started with.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mlx_serving/engine.h"

namespace mlxs {

struct ModelSource {
  std::string name = {};                  // as clients name it
  std::vector<std::string> aliases = {};  // further names
  std::int64_t memory_bytes = 0;          // about what it takes once loaded
  // Loads it; called on a thread of its own. ERRORS: as Engine::open.
  std::function<std::unique_ptr<Engine>()> open = {};
};

}  // namespace mlxs
