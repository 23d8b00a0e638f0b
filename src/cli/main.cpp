// The program mlx-serving: gives the command line the process's own streams, signals, environment
// and MLX.
#include <signal.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "base/settings.h"
#include "cli/backend_facts.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "mlx_serving/engine.h"

int main(int argc, char** argv) {
  // A reader that goes away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const mlxs::Environment environment = mlxs::process_environment();
    mlxs::Console console = mlxs::process_console(environment);
    mlxs::Interrupts interrupts;
    const mlxs::SignalWatcher watcher(interrupts);
    mlxs::CliContext context{
        .console = console,
        .interrupts = interrupts,
        .environment = environment,
        .open_engine = mlxs::Engine::open,
        .backend_facts = mlxs::read_backend_facts
    };
    return mlxs::run_cli(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), context);
  } catch (const std::exception& error) {
    mlxs::write_error(std::cerr, error.what());
    return mlxs::kExitFault;
  }
}
