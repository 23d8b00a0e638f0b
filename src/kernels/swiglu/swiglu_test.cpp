// Both gates against their formulas.
#include "kernels/swiglu/swiglu.h"

#include <gtest/gtest.h>

#include <numbers>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

TEST(GatedActivation, MatchesTheFormulas) {
  const mx::array gate = random_array({5, 19}, 1) * mx::array(8.0F);
  const mx::array up = random_array({5, 19}, 2);
  const std::vector<float> gates = host_values(gate);
  const std::vector<float> ups = host_values(up);
  std::vector<float> silu;
  std::vector<float> gelu;
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const double g = gates[i];
    silu.push_back(static_cast<float>(g / (1.0 + std::exp(-g)) * ups[i]));
    const double inner = std::sqrt(2.0 / std::numbers::pi) * (g + 0.044715 * g * g * g);
    gelu.push_back(static_cast<float>(0.5 * g * (1.0 + std::tanh(inner)) * ups[i]));
  }
  expect_close(host_values(gated_activation(gate, up, Activation::silu)), silu, 1e-6F);
  expect_close(host_values(gated_activation(gate, up, Activation::gelu_tanh)), gelu, 1e-6F);
}

TEST(GatedActivation, KeepsTheType) {
  const mx::array x = random_array({2, 4}, 1, mx::bfloat16);
  EXPECT_EQ(gated_activation(x, x, Activation::silu).dtype(), mx::bfloat16);
  EXPECT_EQ(gated_activation(x, x, Activation::gelu_tanh).dtype(), mx::bfloat16);
}

}  // namespace
}  // namespace mlxs
