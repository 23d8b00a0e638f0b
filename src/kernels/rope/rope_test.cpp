// Tables and rotation against double precision, partial rotation, and the choice of frequencies by
// row.
#include "kernels/rope/rope.h"

#include <gtest/gtest.h>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

mx::array no_long_rows(int num_rows) { return mx::zeros({num_rows}, mx::bool_); }

TEST(Rope, TablesHoldUpToFarPositions) {
  const RopeSpec spec{.num_dims = 6, .inv_freq = {1.0F, 0.1F, 1e-4F}, .attention_factor = 1.5F};
  const std::vector<std::int32_t> positions{0, 1, 4095, 131071, 1048575};
  const mx::array rows(positions.data(), mx::Shape{5}, mx::int32);
  const RopeTables tables = rope_tables(rows, no_long_rows(5), spec);
  std::vector<float> cosines;
  std::vector<float> sines;
  for (const std::int32_t position : positions) {
    for (const float frequency : spec.inv_freq) {
      // float32, as the reference models have it
      const double angle = static_cast<float>(position) * frequency;
      cosines.push_back(static_cast<float>(1.5 * std::cos(angle)));
      sines.push_back(static_cast<float>(1.5 * std::sin(angle)));
    }
  }
  expect_close(host_values(tables.cos), cosines, 1e-5F);
  expect_close(host_values(tables.sin), sines, 1e-5F);
}

TEST(Rope, LongFrequenciesApplyToTheirRowsOnly) {
  const RopeSpec spec{
      .num_dims = 2, .inv_freq = {1.0F}, .inv_freq_long = {0.25F}, .original_context = 4
  };
  const mx::array positions = mx::array({2, 2}, mx::int32);
  const mx::array long_rows = mx::array({false, true});
  const RopeTables tables = rope_tables(positions, long_rows, spec);
  expect_close(host_values(tables.sin), {std::sin(2.0F), std::sin(0.5F)}, 1e-6F);
}

TEST(Rope, RotatesLeadingDimensionsAndPassesTheRest) {
  const RopeSpec spec{.num_dims = 4, .inv_freq = {1.0F, 0.5F}};
  const mx::array x = random_array({3, 2, 7}, 1);
  const RopeTables tables = rope_tables(mx::arange(5, 8, 1, mx::int32), no_long_rows(3), spec);
  const std::vector<float> values = host_values(x);
  std::vector<float> expected = values;
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t head = 0; head < 2; ++head) {
      const std::size_t base = (row * 2 + head) * 7;
      for (std::size_t i = 0; i < 2; ++i) {
        const double angle = static_cast<double>(row + 5) * double{spec.inv_freq[i]};
        const double a = values[base + i];
        const double b = values[base + i + 2];
        expected[base + i] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
        expected[base + i + 2] = static_cast<float>(b * std::cos(angle) + a * std::sin(angle));
      }
    }
  }
  expect_close(host_values(apply_rope(x, tables)), expected, 1e-6F);
}

TEST(Rope, RefusesMoreDimensionsThanAHeadHas) {
  const RopeSpec spec{.num_dims = 4, .inv_freq = {1.0F, 0.5F}};
  const RopeTables tables = rope_tables(mx::arange(0, 1, 1, mx::int32), no_long_rows(1), spec);
  EXPECT_THROW((void)apply_rope(random_array({1, 1, 3}, 1), tables), std::invalid_argument);
}

}  // namespace
}  // namespace mlxs
