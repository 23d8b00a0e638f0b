// The one place where the command line takes hold of the process.
#include "cli/program.h"

#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "base/settings.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/interrupts.h"

namespace mlxs {

int run_program(const std::vector<std::string>& args, const ProgramParts& parts) {
  // A reader that goes away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const Environment environment = process_environment();
    Console console = process_console(environment);
    Interrupts interrupts;
    const SignalWatcher watcher(interrupts);
    CliContext context{
        .console = console,
        .interrupts = interrupts,
        .environment = environment,
        .open_engine = parts.open_engine,
        .backend_facts = parts.backend_facts
    };
    return run_cli(args, context);
  } catch (const std::exception& error) {
    write_error(std::cerr, error.what());
    return kExitFault;
  }
}

}  // namespace mlxs
