// What the doors stand on: the engine on MLX in mlx_backend.cpp, which the packages link, and a
// model-free one in testing/, which their tests link in its place.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"

namespace mlxs {

// ERRORS: as Engine::open().
[[nodiscard]] std::unique_ptr<Engine> open_backend(
    const EngineConfig& config, const LoadProgress& progress
);

struct BackendVersion {
  std::string built_with;  // of MLX, when this library was compiled
  std::string running_on;  // of the libmlx that is loaded
  std::string backend;     // "cpu", "cuda" or "metal"
};
[[nodiscard]] BackendVersion backend_version();

// Runs the command line as the program mlx-serving does: it takes SIGINT and SIGTERM for itself.
// RETURNS: the exit code. REQUIRES: called from a process's main program, once.
[[nodiscard]] int run_program(const std::vector<std::string>& args);

}  // namespace mlxs
