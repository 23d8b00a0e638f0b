// The program mlx-serving: the command line on MLX.
#include <string>
#include <vector>

#include "cli/backend_facts.h"
#include "cli/program.h"
#include "mlx_serving/engine.h"

int main(int argc, char** argv) {
  return mlxs::run_program(
      std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc),
      {.open_engine = mlxs::Engine::open, .backend_facts = mlxs::read_backend_facts}
  );
}
