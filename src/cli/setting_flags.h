// The table of settings as command-line flags, and its values as the options of the engine, the
// server and sampling.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <vector>

#include "base/settings.h"
#include "mlx_serving/config.h"
#include "mlx_serving/sampling.h"
#include "server/server_options.h"

namespace mlxs {

// The flags of one command. REQUIRES: outlives the parsing of `app`.
class SettingFlags {
 public:
  SettingFlags(CLI::App& app, SettingCommand command);
  SettingFlags(const SettingFlags&) = delete;
  SettingFlags& operator=(const SettingFlags&) = delete;

  // RETURNS: flags, environment, the configuration file and defaults, checked. ERRORS: as
  // Settings::resolve() and read_config_file().
  [[nodiscard]] Settings resolve(const Environment& environment) const;

 private:
  CLI::Option* add_option(CLI::App& app, const Setting& setting);

  SettingCommand command_;
  std::map<std::string, std::string> given_;
};

// Fields whose settings the command does not have keep their defaults.
// ERRORS: invalid_config where "~" is used and HOME is not set.
[[nodiscard]] EngineConfig engine_config(
    const Settings& settings, const std::string& model, const Environment& environment
);

[[nodiscard]] ServerOptions server_options(const Settings& settings);

// RETURNS: `defaults`, which are the model's own, with what the settings say instead.
[[nodiscard]] SamplingParams sampling_params(const Settings& settings, SamplingParams defaults);

[[nodiscard]] StopParams stop_params(
    const Settings& settings, const std::vector<std::string>& stop
);

}  // namespace mlxs
