// The model as the API shows it: its facts and the names that requests may use for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/engine.h"

namespace mlxs {

struct ApiModel {
  ModelInfo info;
  std::vector<std::string> names;  // info.name and its aliases
  std::int64_t created = 0;        // seconds of the Unix clock
  std::string fingerprint;         // equal for equal models on equal builds
};

// ERRORS: model_not_found, listing what is served.
void check_model_name(const ApiModel& model, std::string_view name);

[[nodiscard]] ApiModel make_api_model(
    const ModelInfo& info, const std::vector<std::string>& aliases
);

}  // namespace mlxs
