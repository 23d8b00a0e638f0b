// The rows of the table of settings that are about watching the engine. Private to the table.
#pragma once

#include <array>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

inline constexpr std::array<std::string_view, 2> kTelemetryChoices = {"on", "off"};

inline constexpr auto kMonitoringSettings = std::to_array<Setting>({
    {.name = "telemetry",
     .group = SettingGroup::monitoring,
     .domain = ChoiceDomain{kTelemetryChoices},
     .unit = "",
     .default_value = "on",
     .commands = kServeCommand | kBenchCommand,
     .text = "count requests and steps for /metrics"},
});

}  // namespace mlxs
