// rms_norm() against its formula.
#include "kernels/rms_norm/rms_norm.h"

#include <gtest/gtest.h>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

TEST(RmsNorm, MatchesTheFormulaOverTheLastDimension) {
  const mx::array x = random_array({3, 4, 37}, 1);
  const mx::array weight = random_array({37}, 2);
  const std::vector<float> values = host_values(x);
  const std::vector<float> scale = host_values(weight);
  std::vector<float> expected(values.size());
  for (std::size_t row = 0; row < 12; ++row) {
    double sum = 0.0;
    for (std::size_t i = 0; i < 37; ++i) sum += double{values[row * 37 + i]} * values[row * 37 + i];
    const double inverse = 1.0 / std::sqrt(sum / 37.0 + 0.25);
    for (std::size_t i = 0; i < 37; ++i) {
      expected[row * 37 + i] = static_cast<float>(values[row * 37 + i] * inverse * scale[i]);
    }
  }
  expect_close(host_values(rms_norm(x, weight, 0.25F)), expected, 1e-6F);
}

TEST(RmsNorm, KeepsTheActivationsType) {
  const mx::array weight = random_array({8}, 2);
  EXPECT_EQ(rms_norm(random_array({2, 8}, 1, mx::bfloat16), weight, 1e-5F).dtype(), mx::bfloat16);
}

}  // namespace
}  // namespace mlxs
