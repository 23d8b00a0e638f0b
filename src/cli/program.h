// The program mlx-serving as a call: the command line on the process's own streams, signals and
// environment.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/backend_facts.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"

namespace mlxs {

// What the command line needs of a back end.
struct ProgramParts {
  std::function<std::unique_ptr<Engine>(const EngineConfig&, const LoadProgress&)> open_engine;
  std::function<BackendFacts()> backend_facts;
};

// Runs one command; `args` are without the program's name. SIGINT and SIGTERM are blocked from then
// on and taken by a thread of its own. RETURNS: the exit code. ERRORS: none.
// REQUIRES: called from a process's main program; threads that run already keep their signals.
[[nodiscard]] int run_program(const std::vector<std::string>& args, const ProgramParts& parts);

}  // namespace mlxs
