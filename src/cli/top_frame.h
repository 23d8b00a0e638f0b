// One picture of `mlx-serving top`, made of two looks at a server's /metrics.
#pragma once

#include <string>
#include <string_view>

#include "cli/metrics_text.h"

namespace mlxs {

// RETURNS: the lines of the picture. Rates are of the `seconds` between the two looks; an infinite
// time means that there was none before.
[[nodiscard]] std::string top_frame(
    const MetricsText& before, const MetricsText& now, double seconds, std::string_view url
);

}  // namespace mlxs
