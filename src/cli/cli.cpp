// Parses the arguments, picks the command and turns what it throws into an exit code and one line.
#include "cli/cli.h"

#include <spdlog/fmt/fmt.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/build_info.h"
#include "cli/command.h"
#include "cli/console.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr std::size_t kOptionColumnWidth = 32;
constexpr std::string_view kCommandNames = "serve, generate, chat, bench, top, info, config";
constexpr const char* kExamples =
    "Examples:\n"
    "  mlx-serving serve                                 the default model on "
    "http://127.0.0.1:8080\n"
    "  mlx-serving chat                                  talk to it in the terminal\n"
    "  mlx-serving generate --prompt \"Why is the sky blue?\" --max-tokens 60\n"
    "  mlx-serving bench ~/models/Qwen3-0.6B-4bit        a folder of safetensors\n"
    "  mlx-serving info model.gguf\n"
    "\n"
    "Settings are flags, environment variables or lines of a YAML file (--port, MLX_SERVING_PORT,\n"
    "or port: in --config FILE); a flag wins over a variable, and that over the file.\n"
    "Exit codes: 0 done, 1 fault at run time, 2 wrong arguments, settings or model, 130 Ctrl-C.\n";

std::string version_line(const CliContext& context) {
  return fmt::format(
      "mlx-serving {} (commit {}, MLX {})",
      kVersion,
      build_commit(),
      context.backend_facts().mlx_version
  );
}

// What CLI11 would say less clearly: no command, or a word that is none.
void check_command_word(const std::vector<std::string>& args, const CLI::App& app) {
  if (args.empty()) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format("a command is missing; the commands are {}; see --help", kCommandNames)
    );
  }
  const std::string& word = args.front();
  const auto is_word = [&word](const CLI::App* command) { return command->get_name() == word; };
  if (word.starts_with('-') || std::ranges::any_of(app.get_subcommands({}), is_word)) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "no command is called \"{}\"; the commands are {}; see --help", word, kCommandNames
      )
  );
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const std::string command = chosen.empty() ? "" : chosen.front()->get_name() + " ";
  return fmt::format("{} (see mlx-serving {}--help)", error.what(), command);
}

int run_parsed(const std::vector<std::string>& args, CliContext& context) {
  CLI::App app(
      "A server for language models on MLX: OpenAI's HTTP API, and the command line.", "mlx-serving"
  );
  app.footer(kExamples);
  app.get_formatter()->column_width(kOptionColumnWidth);
  // One command only: after it, the name of another one is a word like any other.
  app.require_subcommand(0, 1);
  app.set_help_flag("-h,--help", "print this and exit");
  bool wants_version = false;
  app.add_flag("--version", wants_version, "print the version and exit");
  const std::array<std::unique_ptr<Command>, 7> commands = {
      make_serve_command(app),
      make_generate_command(app),
      make_chat_command(app),
      make_bench_command(app),
      make_top_command(app),
      make_info_command(app),
      make_config_command(app)
  };
  check_command_word(args, app);
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    app.parse(reversed);
  } catch (const CLI::Success& request) {
    app.exit(request, context.console.out, context.console.err);
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::invalid_config, usage_message(app, error));
  }
  for (const auto& command : commands) {
    if (command->app().parsed()) return command->run(context);
  }
  if (!wants_version) check_command_word({}, app);
  context.console.out << version_line(context) << '\n';
  return kExitOk;
}

}  // namespace

int exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::cancelled:
      return kExitInterrupted;
    case ErrorCode::rate_limit_exceeded:
    case ErrorCode::overloaded:
    case ErrorCode::shutting_down:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::engine_error:
    case ErrorCode::numerical_error:
      return kExitFault;
    default:
      return kExitUsage;
  }
}

int run_cli(const std::vector<std::string>& args, CliContext& context) {
  const Console& console = context.console;
  try {
    const int code = run_parsed(args, context);
    console.out.flush();
    if (console.out.good()) return code;
    write_error(
        console.err,
        "standard output cannot be written; is the reader of the pipe gone, or the disk full?"
    );
    return kExitFault;
  } catch (const Error& error) {
    console.out.flush();
    write_error(console.err, error.what());
    return exit_code_of(error.code());
  } catch (const std::bad_alloc&) {
    write_error(console.err, "the machine has not enough memory");
    return kExitFault;
  } catch (const std::exception& error) {
    write_error(console.err, fmt::format("internal fault: {}", error.what()));
    return kExitFault;
  }
}

}  // namespace mlxs
