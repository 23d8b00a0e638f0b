#include "base/checked.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace mlxs {
namespace {

TEST(Checked, ReportsOverflowInsteadOfWrapping) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(checked_add<std::uint64_t>(kMax - 1, 1), kMax);
  EXPECT_FALSE(checked_add<std::uint64_t>(kMax, 1));
  EXPECT_FALSE(checked_mul<std::int64_t>(std::int64_t{1} << 62, 2));
  EXPECT_EQ(checked_mul<std::int64_t>(std::int64_t{1} << 61, 2), std::int64_t{1} << 62);
}

TEST(Checked, NarrowsOnlyWhatFits) {
  EXPECT_EQ(checked_narrow<std::int32_t>(std::int64_t{2147483647}), 2147483647);
  EXPECT_FALSE(checked_narrow<std::int32_t>(std::int64_t{2147483648}));
  EXPECT_FALSE(checked_narrow<std::uint32_t>(-1));
}

TEST(Checked, AlignsUp) {
  EXPECT_EQ(checked_align_up<std::uint64_t>(33, 32), 64U);
  EXPECT_EQ(checked_align_up<std::uint64_t>(64, 32), 64U);
  EXPECT_FALSE(checked_align_up(std::numeric_limits<std::uint64_t>::max(), std::uint64_t{32}));
}

}  // namespace
}  // namespace mlxs
