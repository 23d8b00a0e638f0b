// Ranges of a request's values as data, and what is told of one that is outside.
#pragma once

#include <cstdint>
#include <string>

#include "mlx_serving/engine.h"

namespace mlxs {

struct Range {
  const char* field;
  float value;
  float min;
  float max;
  bool excludes_min = false;
};

// ERRORS: invalid_value, always.
[[noreturn]] void refuse(const std::string& field, const std::string& message);

// ERRORS: invalid_value, naming the field and the range.
void check_range(const Range& range);
void check_token_id(std::int32_t id, const std::string& field, const ModelInfo& model);

}  // namespace mlxs
