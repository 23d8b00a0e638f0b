// Messages name the field, the range and what was got.
#include "engine/value_check.h"

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <string>

#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"

namespace mlxs {

void refuse(const std::string& field, const std::string& message) {
  throw Error(ErrorCode::invalid_value, field + ": " + message, field);
}

void check_range(const Range& range) {
  const bool is_inside = range.value <= range.max &&
                         (range.excludes_min ? range.value > range.min : range.value >= range.min);
  if (is_inside) return;
  refuse(
      range.field,
      fmt::format(
          "must be {} {} and at most {}, got {}",
          range.excludes_min ? "above" : "at least",
          range.min,
          range.max,
          range.value
      )
  );
}

void check_token_id(std::int32_t id, const std::string& field, const ModelInfo& model) {
  if (id >= 0 && id < model.vocab_size) return;
  refuse(
      field,
      fmt::format("token id {} is outside of the vocabulary of {} tokens", id, model.vocab_size)
  );
}

}  // namespace mlxs
