// The back end of the packages: engines on MLX.
#include <memory>
#include <string>
#include <vector>

#include "bindings/common/backend.h"
#include "cli/backend_facts.h"
#include "cli/program.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"

namespace mlxs {

std::unique_ptr<Engine> open_backend(const EngineConfig& config, const LoadProgress& progress) {
  return Engine::open(config, progress);
}

BackendVersion backend_version() {
  const BackendFacts facts = read_backend_facts();
  return {
      .built_with = MLXS_MLX_VERSION, .running_on = facts.mlx_version, .backend = facts.backend
  };
}

int run_program(const std::vector<std::string>& args) {
  return run_program(args, {.open_engine = Engine::open, .backend_facts = read_backend_facts});
}

}  // namespace mlxs
