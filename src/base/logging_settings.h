// The rows of the table of settings that are about the log's form. Private to the table.
#pragma once

#include <array>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

inline constexpr std::array<std::string_view, 2> kLogFormats = {"text", "json"};

inline constexpr auto kLoggingSettings = std::to_array<Setting>({
    {.name = "log_format",
     .group = SettingGroup::logging,
     .domain = ChoiceDomain{kLogFormats},
     .unit = "",
     .default_value = "text",
     .commands = kServeCommand | kGenerateCommand | kChatCommand | kBenchCommand | kInfoCommand,
     .text = "form of the log's lines; json is an object a line, its fields by name"},
    {.name = "log_prompts",
     .group = SettingGroup::logging,
     .domain = SwitchDomain{},
     .unit = "",
     .default_value = "false",
     .commands = kServeCommand,
     .text = "write the bodies of requests, prompts included, to the log (log_level info)"},
});

}  // namespace mlxs
