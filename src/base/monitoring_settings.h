// The rows of the table of settings that are about watching the engine. Private to the table.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

inline constexpr std::array<std::string_view, 2> kTelemetryChoices = {"on", "off"};
inline constexpr std::array<std::string_view, 4> kSloActionChoices = {
    "none", "slow", "shed", "both"
};

inline constexpr auto kMonitoringSettings = std::to_array<Setting>({
    {.name = "telemetry",
     .group = SettingGroup::monitoring,
     .domain = ChoiceDomain{kTelemetryChoices},
     .unit = "",
     .default_value = "on",
     .commands = kServeCommand | kBenchCommand,
     .text = "count requests and steps for /metrics"},
    {.name = "otlp_endpoint",
     .group = SettingGroup::monitoring,
     .domain = TextDomain{},
     .unit = "",
     .default_value = "",
     .commands = kServeCommand,
     .text = "http://HOST:PORT of an OpenTelemetry collector that takes spans over OTLP/HTTP"},
    {.name = "trace_share",
     .group = SettingGroup::monitoring,
     .domain = RealDomain{0.0, 1.0},
     .unit = "",
     .default_value = "1",
     .commands = kServeCommand,
     .text = "share of the requests without a trace context that are traced"},
    {.name = "profile",
     .group = SettingGroup::monitoring,
     .domain = TextDomain{},
     .unit = "",
     .default_value = "",
     .commands = kServeCommand,
     .text = "file for a trace of everything the engine does, for Perfetto, written at the end"},
    {.name = "memory_bandwidth",
     .group = SettingGroup::monitoring,
     .domain = BytesDomain{0, std::int64_t{1} << 50},
     .unit = "bytes",
     .default_value = "0",
     .commands = kServeCommand,
     .text = "that the device reads in a second, to compare steps with; 0: not known"},
    {.name = "slo_ttft",
     .group = SettingGroup::monitoring,
     .domain = RealDomain{0.0, 3'600'000.0},
     .unit = "milliseconds",
     .default_value = "0",
     .commands = kServeCommand,
     .text = "target of the time to the first token; 0: none"},
    {.name = "slo_itl",
     .group = SettingGroup::monitoring,
     .domain = RealDomain{0.0, 3'600'000.0},
     .unit = "milliseconds",
     .default_value = "0",
     .commands = kServeCommand,
     .text = "target of the time from one token to the next; 0: none"},
    {.name = "slo_errors",
     .group = SettingGroup::monitoring,
     .domain = RealDomain{0.0, 1.0},
     .unit = "",
     .default_value = "0",
     .commands = kServeCommand,
     .text = "share of the requests that may fail by the server's fault; 0: no target"},
    {.name = "slo_objective",
     .group = SettingGroup::monitoring,
     .domain = RealDomain{0.0, 0.99999, RealStart::excluded},
     .unit = "",
     .default_value = "0.99",
     .commands = kServeCommand,
     .text = "share of the tokens that must keep the targets of time"},
    {.name = "slo_action",
     .group = SettingGroup::monitoring,
     .domain = ChoiceDomain{kSloActionChoices},
     .unit = "",
     .default_value = "none",
     .commands = kServeCommand,
     .text = "while a target burns; slow: prompts get less of each step; shed: requests of "
             "priority 0 and below are refused"},
});

}  // namespace mlxs
