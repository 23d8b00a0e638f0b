// The sketch against the sorted values themselves.
#include "telemetry/quantile_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace mlxs {
namespace {

constexpr std::array kQuantiles = {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0};

void expect_close(std::vector<std::uint64_t> values) {
  QuantileSketch sketch;
  std::uint64_t sum = 0;
  for (const std::uint64_t value : values) {
    sketch.observe(value);
    sum += value;
  }
  std::ranges::sort(values);
  EXPECT_EQ(sketch.count(), values.size());
  EXPECT_EQ(sketch.sum(), sum);
  const std::vector<double> answers = sketch.quantiles(kQuantiles);
  ASSERT_EQ(answers.size(), kQuantiles.size());
  for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
    const auto rank =
        static_cast<std::size_t>(kQuantiles[i] * static_cast<double>(values.size() - 1));
    const auto exact = static_cast<double>(values[rank]);
    EXPECT_NEAR(answers[i], exact, exact * QuantileSketch::kRelativeError * 1.0001)
        << "quantile " << kQuantiles[i] << " of " << values.size();
  }
}

TEST(QuantileSketch, IsWithinItsErrorOnEveryScale) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> times(16.0, 2.0);  // around 9 ms, over several decades
  for (const std::size_t count : {1U, 2U, 200U, 10'000U}) {
    std::vector<std::uint64_t> values(count);
    for (auto& value : values) value = static_cast<std::uint64_t>(times(random));
    expect_close(values);
  }
}

TEST(QuantileSketch, KnowsItsEdges) {
  expect_close({0, 0, 0, 1});
  expect_close({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  expect_close({1, QuantileSketch::kMaxValue});
  QuantileSketch sketch;
  sketch.observe(QuantileSketch::kMaxValue * 10);  // counts as the largest value
  const auto largest = static_cast<double>(QuantileSketch::kMaxValue);
  EXPECT_NEAR(sketch.quantiles(kQuantiles).front(), largest, largest * 0.011);
}

TEST(QuantileSketch, SaysNothingOfNothing) {
  const QuantileSketch sketch;
  EXPECT_EQ(sketch.count(), 0U);
  for (const double value : sketch.quantiles(kQuantiles)) EXPECT_TRUE(std::isnan(value));
}

TEST(QuantileSketch, LosesNothingBetweenThreads) {
  constexpr std::uint64_t kEach = 20'000;
  QuantileSketch sketch;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&sketch] {
      for (std::uint64_t value = 1; value <= kEach; ++value) sketch.observe(value);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sketch.count(), 4 * kEach);
  EXPECT_EQ(sketch.sum(), 2 * kEach * (kEach + 1));
}

}  // namespace
}  // namespace mlxs
