// What the tests of kernels, models and sampling share: random arrays, host copies and comparisons.
// Tests only.
#pragma once

#include <gtest/gtest.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/mx.h"

namespace mlxs::testing {

// RETURNS: where tests run models: the CPU, or the GPU where MLX_SERVING_TEST_DEVICE is gpu.
inline mx::Device test_device() {
  const char* name = std::getenv("MLX_SERVING_TEST_DEVICE");
  const bool is_gpu = name != nullptr && std::string_view(name) == "gpu";
  return is_gpu ? mx::Device::gpu : mx::Device::cpu;
}

// RETURNS: float32 values uniform in [-1, 1), equal for equal seeds on every machine.
inline std::vector<float> random_values(std::size_t num_values, std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(num_values);
  for (float& value : values) value = static_cast<float>(generator() >> 8) / 8388608.0F - 1.0F;
  return values;
}

inline mx::array random_array(
    const mx::Shape& shape, std::uint32_t seed, mx::Dtype dtype = mx::float32
) {
  std::size_t num_values = 1;
  for (const int extent : shape) num_values *= static_cast<std::size_t>(extent);
  return mx::astype(mx::array(random_values(num_values, seed).data(), shape, mx::float32), dtype);
}

inline std::vector<float> host_values(const mx::array& x) {
  mx::array copy = mx::contiguous(mx::astype(x, mx::float32));
  copy.eval();
  return {copy.data<float>(), copy.data<float>() + copy.size()};
}

// Compares element by element, relative to `tolerance` * max(1, |expected|).
inline void expect_close(
    const std::vector<float>& actual, const std::vector<float>& expected, float tolerance
) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance * std::max(1.0F, std::abs(expected[i])))
        << "at " << i;
  }
}

inline void expect_close(const mx::array& actual, const mx::array& expected, float tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape());
  expect_close(host_values(actual), host_values(expected), tolerance);
}

}  // namespace mlxs::testing
