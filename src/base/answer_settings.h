// Settings of what the server makes of hidden states and of a model's own judgement: rows of the
// table in settings_table.cpp.
#pragma once

#include <array>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

inline constexpr std::array<std::string_view, 2> kPoolings = {"mean", "last"};
inline constexpr std::array<std::string_view, 3> kRerankUses = {"auto", "on", "off"};

inline constexpr std::array kAnswerSettings = {
    Setting{
        .name = "embedding_pooling",
        .group = SettingGroup::server,
        .domain = ChoiceDomain{kPoolings},
        .unit = "",
        .default_value = "mean",
        .commands = kServeCommand,
        .text = "how the hidden states of a text become its embedding"
    },
    Setting{
        .name = "rerank",
        .group = SettingGroup::server,
        .domain = ChoiceDomain{kRerankUses},
        .unit = "",
        .default_value = "auto",
        .commands = kServeCommand,
        .text = "whether /v1/rerank ranks by the model's yes and no; auto: if its name has rerank"
    },
};

}  // namespace mlxs
