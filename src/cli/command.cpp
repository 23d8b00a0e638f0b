// What the commands share.
#include "cli/command.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/settings.h"
#include "cli/console.h"
#include "cli/progress_bar.h"
#include "mlx_serving/config.h"
#include "mlx_serving/engine.h"

namespace mlxs {

CLI::Option* add_model_argument(CLI::App& app, std::string& model) {
  return app
      .add_option(
          "MODEL",
          model,
          "a folder of safetensors, a .gguf file, or a name in HOME/models/;\nwithout one: the "
          "default model"
      )
      ->type_name("");
}

void start_log(const Settings& settings, const CliContext& context) {
  const Console& console = context.console;
  const bool is_plain = !context.environment("NO_COLOR").value_or("").empty();
  const LogColour colour =
      console.is_err_terminal && !is_plain ? LogColour::always : LogColour::never;
  const LogForm form = settings.find_text("log_format") == "json" ? LogForm::json : LogForm::text;
  install_log(log_level_from_name(settings.text("log_level")), colour, form);
}

std::unique_ptr<Engine> open_with_progress(const EngineConfig& config, CliContext& context) {
  if (!context.console.is_err_terminal) return context.open_engine(config, {});
  ProgressBar bar(context.console.err);
  return context.open_engine(config, [&bar](std::int64_t done_bytes, std::int64_t total_bytes) {
    bar.show(done_bytes, total_bytes);
  });
}

}  // namespace mlxs
