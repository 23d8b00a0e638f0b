// A value on an edge counts below it, as Prometheus' `le` says.
#include "telemetry/histogram.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace mlxs {
namespace {

constexpr std::array<std::uint64_t, 3> kEdges = {10, 20, 50};

TEST(Histogram, CountsCumulatively) {
  Histogram histogram(kEdges);
  for (const std::uint64_t value : {0U, 10U, 11U, 20U, 21U, 50U, 51U, 1000U})
    histogram.observe(value);
  const HistogramCounts counts = histogram.snapshot();
  EXPECT_EQ(counts.at_most, (std::vector<std::uint64_t>{2, 4, 6}));
  EXPECT_EQ(counts.count, 8U);
  EXPECT_EQ(counts.sum, 1163U);
  EXPECT_EQ(counts.edges, (std::vector<std::uint64_t>{10, 20, 50}));
}

TEST(Histogram, StartsEmpty) {
  const HistogramCounts counts = Histogram(kEdges).snapshot();
  EXPECT_EQ(counts.at_most, (std::vector<std::uint64_t>{0, 0, 0}));
  EXPECT_EQ(counts.count, 0U);
  EXPECT_EQ(counts.sum, 0U);
}

}  // namespace
}  // namespace mlxs
