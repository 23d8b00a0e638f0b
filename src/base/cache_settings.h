// Settings of keys and values and of the prefix cache: rows of the table in settings_table.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

inline constexpr std::array<std::string_view, 5> kKvDtypes = {
    "auto", "float32", "float16", "bfloat16", "int8"
};
inline constexpr std::array<std::string_view, 2> kCacheUses = {"on", "off"};
inline constexpr std::int64_t kMaxCacheBytes = std::int64_t{1} << 50;

inline constexpr std::array kCacheSettings = {
    Setting{
        .name = "kv_memory",
        .group = SettingGroup::engine,
        .domain = AmountDomain{0, kMaxCacheBytes},
        .unit = "bytes",
        .default_value = "0",
        .commands = kServeCommand | kGenerateCommand | kChatCommand | kBenchCommand,
        .text = "memory for keys and values, in bytes or as a share of what the weights leave; "
                "0: what max-sequences contexts need, at most a quarter of the machine's"
    },
    Setting{
        .name = "kv_dtype",
        .group = SettingGroup::engine,
        .domain = ChoiceDomain{kKvDtypes},
        .unit = "",
        .default_value = "auto",
        .commands = kServeCommand | kGenerateCommand | kChatCommand | kBenchCommand,
        .text = "type of keys and values in memory; auto: float16 on the CPU unless precision is "
                "exact, else as the model computes"
    },
    Setting{
        .name = "prefix_cache",
        .group = SettingGroup::engine,
        .domain = ChoiceDomain{kCacheUses},
        .unit = "",
        .default_value = "on",
        .commands = kServeCommand | kGenerateCommand | kChatCommand | kBenchCommand,
        .text = "share what requests have computed of equal prompt beginnings"
    },
    Setting{
        .name = "prefix_cache_dir",
        .group = SettingGroup::engine,
        .domain = TextDomain{},
        .unit = "",
        .default_value = "",
        .commands = kServeCommand,
        .text = "folder that keeps computed prompts over restarts, for this user only; they can be "
                "read from it"
    },
    Setting{
        .name = "prefix_cache_disk",
        .group = SettingGroup::engine,
        .domain = BytesDomain{1 << 20, kMaxCacheBytes},
        .unit = "bytes",
        .default_value = "10GiB",
        .commands = kServeCommand,
        .text = "of prefix_cache_dir at most; what was used least recently goes first"
    },
};

}  // namespace mlxs
