// The rows of the table of settings that are about further models. Private to the table.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "base/settings.h"

namespace mlxs {

inline constexpr auto kModelSettings = std::to_array<Setting>({
    {.name = "models",
     .group = SettingGroup::server,
     .domain = ListDomain{},
     .unit = "",
     .default_value = "",
     .commands = kServeCommand,
     .text = "further models, NAME=MODEL each, loaded when a request names them"},
    {.name = "max_loaded_models",
     .group = SettingGroup::server,
     .domain = IntegerDomain{1, 1000},
     .unit = "",
     .default_value = "1",
     .commands = kServeCommand,
     .text =
         "further models that are loaded at a time; the one used the longest ago leaves for another"
    },
    {.name = "models_memory",
     .group = SettingGroup::server,
     .domain = BytesDomain{0, std::numeric_limits<std::int64_t>::max()},
     .unit = "bytes",
     .default_value = "0",
     .commands = kServeCommand,
     .text = "of the further models' files that are loaded, together; 0: no limit"},
});

}  // namespace mlxs
