// What a command is, and what it may use of the world around it.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/settings.h"
#include "cli/backend_facts.h"
#include "cli/console.h"
#include "cli/interrupts.h"
#include "mlx_serving/engine.h"

namespace mlxs {

// Everything that a command reaches outside of its arguments; tests put in their own.
struct CliContext {
  Console& console;
  Interrupts& interrupts;
  Environment environment;
  std::function<std::unique_ptr<Engine>(const EngineConfig&, const LoadProgress&)> open_engine;
  std::function<BackendFacts()> backend_facts;
};

class Command {
 public:
  explicit Command(CLI::App& app) : app_(app) {}
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  [[nodiscard]] const CLI::App& app() const { return app_; }

  // REQUIRES: the arguments were parsed. RETURNS: the exit code. ERRORS: what its work throws.
  virtual int run(CliContext& context) = 0;

 private:
  CLI::App& app_;
};

// Each adds its command to `parent`, with its flags and help.
[[nodiscard]] std::unique_ptr<Command> make_serve_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_generate_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_chat_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_bench_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_top_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_info_command(CLI::App& parent);
[[nodiscard]] std::unique_ptr<Command> make_config_command(CLI::App& parent);

// RETURNS: the positional argument MODEL, stored in `model`.
CLI::Option* add_model_argument(CLI::App& app, std::string& model);

// Installs the log as the settings say.
void start_log(const Settings& settings, const CliContext& context);

// Opens an engine with a progress bar where stderr is a terminal. ERRORS: as Engine::open().
[[nodiscard]] std::unique_ptr<Engine> open_with_progress(
    const EngineConfig& config, CliContext& context
);

}  // namespace mlxs
