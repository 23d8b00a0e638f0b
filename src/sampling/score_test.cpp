// Log probabilities against a log-softmax in double precision.
#include "sampling/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::random_values;

constexpr std::size_t kVocab = 5000;

std::vector<double> log_softmax(std::span<const float> logits) {
  const double best = *std::ranges::max_element(logits);
  double total = 0.0;
  for (const float value : logits) total += std::exp(double{value} - best);
  std::vector<double> result;
  for (const float value : logits) result.push_back(double{value} - best - std::log(total));
  return result;
}

TEST(Score, EqualsTheReference) {
  constexpr std::size_t kNumRows = 6;
  std::vector<float> values = random_values(kNumRows * kVocab, 3);
  for (float& value : values) value *= 12.0F;
  const mx::array logits(values.data(), mx::Shape{kNumRows, kVocab});
  const std::vector<std::int32_t> named{7, 4999, 0};
  const std::vector<ScoreRow> rows{
      {}, {.num_top = 1}, {.num_top = 5}, {.num_top = 20}, {.token_ids = named}, {.num_top = 3}
  };
  const std::vector<std::int32_t> targets{0, 4999, 17, 300, 2, 1};
  const Scores scores =
      score_tokens(logits, mx::array(targets.data(), mx::Shape{kNumRows}, mx::int32), rows);
  const auto logprobs = host_values(scores.logprobs);
  const auto ranks = host_values(scores.ranks);
  const auto top_ids = host_values(scores.top_ids);
  const auto top_logprobs = host_values(scores.top_logprobs);
  ASSERT_EQ(scores.top_ids.shape(1), 20);
  for (std::size_t r = 0; r < kNumRows; ++r) {
    const std::span<const float> row = std::span(values).subspan(r * kVocab, kVocab);
    const std::vector<double> expected = log_softmax(row);
    const auto target = static_cast<std::size_t>(targets[r]);
    EXPECT_NEAR(double{logprobs[r]}, expected[target], 1e-4);
    EXPECT_EQ(static_cast<std::ptrdiff_t>(ranks[r]), std::ranges::count_if(row, [&](float value) {
                return value >= row[target];
              }));
    std::vector<std::size_t> order(kVocab);
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, [&](auto a, auto b) { return row[a] > row[b]; });
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows[r].num_told()); ++i) {
      const std::size_t id =
          rows[r].token_ids.empty() ? order[i] : static_cast<std::size_t>(named[i]);
      EXPECT_EQ(static_cast<std::size_t>(top_ids[r * 20 + i]), id) << r << " " << i;
      EXPECT_NEAR(double{top_logprobs[r * 20 + i]}, expected[id], 1e-4);
    }
  }
}

TEST(Score, AVocabularySmallerThanWhatIsAskedFor) {
  const std::vector<float> values{1.0F, 3.0F, 2.0F};
  const std::vector<ScoreRow> rows{{.num_top = 20}};
  const Scores scores =
      score_tokens(mx::array(values.data(), mx::Shape{1, 3}), mx::array({1}, mx::int32), rows);
  EXPECT_EQ(host_values(scores.top_ids), (std::vector<float>{1, 2, 0}));
  EXPECT_EQ(host_values(scores.ranks), std::vector<float>{1});
}

}  // namespace
}  // namespace mlxs
