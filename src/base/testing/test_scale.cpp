// The scale comes from the environment, so that `make check-full` reaches every test program.
#include "base/testing/test_scale.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "base/settings.h"

namespace mlxs::testing {
namespace {

constexpr double kDefaultScale = 0.1;

}  // namespace

std::size_t scaled_count(std::size_t full_count) {
  const auto text = process_environment()("MLX_SERVING_TEST_SCALE");
  const double scale = text ? std::strtod(text->c_str(), nullptr) : kDefaultScale;
  return std::max<std::size_t>(
      1, static_cast<std::size_t>(static_cast<double>(full_count) * scale)
  );
}

}  // namespace mlxs::testing
