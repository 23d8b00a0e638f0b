// Known answers of Philox4x32-10, and the properties that sampling relies on.
#include "sampling/philox.h"

#include <gtest/gtest.h>

#include <set>

namespace mlxs {
namespace {

TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(
      philox4x32_10({0, 0, 0, 0}, {0, 0}),
      (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8})
  );
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(
      philox4x32_10({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
      (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd})
  );
  EXPECT_EQ(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1})
  );
}

TEST(UniformDraw, IsInRangeAndDependsOnEveryBitOfSeedAndPosition) {
  std::set<float> draws;
  for (int bit = 0; bit < 64; ++bit) {
    draws.insert(uniform_draw(std::uint64_t{1} << bit, 0));
    draws.insert(uniform_draw(0, std::uint64_t{1} << bit));
  }
  EXPECT_EQ(draws.size(), 128U);
  EXPECT_GE(*draws.begin(), 0.0F);
  EXPECT_LT(*draws.rbegin(), 1.0F);
}

TEST(UniformDraw, FillsTheUnitIntervalEvenly) {
  constexpr int kNumBins = 64;
  constexpr int kNumDraws = 64000;
  std::array<int, kNumBins> counts{};
  for (std::uint64_t position = 0; position < kNumDraws; ++position) {
    ++counts[static_cast<std::size_t>(uniform_draw(7, position) * kNumBins)];
  }
  double chi_square = 0.0;
  for (const int count : counts) chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 103.4);  // 63 degrees of freedom, p = 0.001
}

}  // namespace
}  // namespace mlxs
