// What a model takes is guessed from its files: the weights are most of it.
#include "cli/further_models.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/settings.h"
#include "cli/command.h"
#include "cli/setting_flags.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"
#include "server/models/model_source.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

// RETURNS: 0 for what is no path, an alias for one.
std::int64_t bytes_of(const fs::path& path) {
  std::error_code ignored;  // what cannot be read is told when the model is opened
  if (fs::is_regular_file(path, ignored))
    return static_cast<std::int64_t>(fs::file_size(path, ignored));
  std::int64_t sum = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, ignored)) {
    if (entry.is_regular_file(ignored)) sum += static_cast<std::int64_t>(entry.file_size(ignored));
  }
  return sum;
}

}  // namespace

std::vector<ModelSource> further_models(const Settings& settings, const CliContext& context) {
  std::vector<ModelSource> sources;
  for (const std::string& entry : settings.list("models")) {
    const std::size_t sign = entry.find('=');
    if (sign == std::string::npos || sign == 0 || sign + 1 == entry.size()) {
      throw Error(
          ErrorCode::invalid_config,
          fmt::format("models: \"{}\" is not of the form NAME=MODEL", entry)
      );
    }
    const std::string name = entry.substr(0, sign);
    if (std::ranges::find(sources, name, &ModelSource::name) != sources.end()) {
      throw Error(ErrorCode::invalid_config, fmt::format("models: \"{}\" stands twice", name));
    }
    const std::string model = entry.substr(sign + 1);
    EngineConfig config = engine_config(settings, model, context.environment);
    sources.push_back(
        {.name = name,
         .aliases = {},
         .memory_bytes = bytes_of(model),
         .open = [config = std::move(config), &context] { return context.open_engine(config, {}); }}
    );
  }
  return sources;
}

}  // namespace mlxs
