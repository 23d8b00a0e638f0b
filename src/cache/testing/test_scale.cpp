#include "cache/testing/test_scale.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "base/settings.h"

namespace mlxs::testing {

std::size_t scaled_count(std::size_t full_count) {
  const auto text = process_environment()("MLX_SERVING_TEST_SCALE");
  const double scale = text ? std::strtod(text->c_str(), nullptr) : 0.1;
  const double count = static_cast<double>(full_count) * scale;
  return std::max<std::size_t>(1, static_cast<std::size_t>(count));
}

}  // namespace mlxs::testing
