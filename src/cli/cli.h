// The command line: arguments in, exit code out. Everything it touches comes in the context.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "mlx_serving/error.h"

namespace mlxs {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFault = 1;  // something failed at run time
// wrong arguments, settings or model files, or what the system refuses
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;  // Ctrl-C

// RETURNS: the exit code for an error of this code.
[[nodiscard]] int exit_code_of(ErrorCode code);

// Runs one command; `args` are without the program's name. An error is one line on the console's
// `err`. RETURNS: the exit code. ERRORS: none.
[[nodiscard]] int run_cli(const std::vector<std::string>& args, CliContext& context);

}  // namespace mlxs
