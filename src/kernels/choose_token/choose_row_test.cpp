// Every path against a sorted, double-precision choice, over a vocabulary of a real size. The chain
// of filters, as a whole, is tested in sampling/.
#include "kernels/choose_token/choose_row.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_path.h"
#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::random_values;

struct Choice {
  std::int32_t token = 0;
  double margin = 1.0;  // how far the closest decision was from going the other way
};

std::vector<std::size_t> best_first(const std::vector<double>& scaled) {
  std::vector<std::size_t> order(scaled.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return scaled[a] > scaled[b];
  });
  return order;
}

Choice sorted_choice(const std::vector<float>& logits, const TokenRule& rule) {
  std::vector<double> scaled;
  for (const float value : logits) scaled.push_back(double{value / rule.temperature});
  const auto order = best_first(scaled);
  const double best = scaled[order[0]];
  std::vector<double> weights(logits.size(), 0.0);
  const std::size_t num_kept =
      rule.top_k > 0 ? std::min(order.size(), static_cast<std::size_t>(rule.top_k)) : order.size();
  double total = 0.0;
  for (std::size_t rank = 0; rank < num_kept; ++rank) {
    weights[order[rank]] = std::exp(scaled[order[rank]] - best);
    total += weights[order[rank]];
  }
  Choice choice;
  double before = 0.0;
  for (std::size_t rank = 0; rank < num_kept; ++rank) {
    double& weight = weights[order[rank]];
    const double original = weight;
    if (rule.top_p < 1.0F) {
      choice.margin = std::min(choice.margin, std::abs(before / total - double{rule.top_p}));
      if (before >= double{rule.top_p} * total) weight = 0.0;
    }
    if (original < 1.0 && rule.min_p > 0.0F)
      choice.margin = std::min(choice.margin, std::abs(original / double{rule.min_p} - 1.0));
    if (original < double{rule.min_p}) weight = 0.0;
    before += original;
  }
  const double kept = std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0.0;
  for (std::size_t id = 0; id < weights.size(); ++id) {
    if (weights[id] == 0.0) continue;
    choice.token = static_cast<std::int32_t>(id);
    sum += weights[id];
    choice.margin = std::min(choice.margin, std::abs(sum / kept - double{rule.uniform}));
    if (sum > double{rule.uniform} * kept) break;
  }
  return choice;
}

class ChooseRow : public ::testing::TestWithParam<CpuPath> {
 protected:
  std::int32_t choose(const std::vector<float>& logits, const TokenRule& rule) {
    std::vector<std::int32_t> ids(logits.size());
    std::vector<double> sums(logits.size() / ChooseScratch::kBlock + 1);
    scratch_->ids = ids;
    scratch_->block_sums = sums;
    return choose_row(token_kernels(GetParam()), logits, rule, *scratch_);
  }

  std::unique_ptr<ChooseScratch> scratch_ = std::make_unique<ChooseScratch>();
};

TEST_P(ChooseRow, DrawsWhatSortingDraws) {
  const std::vector<TokenRule> rules{
      {},
      {.temperature = 0.7F},
      {.top_k = 1},
      {.top_k = 40},
      {.top_k = 20000},
      {.top_p = 0.9F},
      {.temperature = 1.5F, .top_p = 0.999F},
      {.top_p = 0.01F},
      {.min_p = 0.05F},
      {.temperature = 0.8F, .top_k = 50, .top_p = 0.95F, .min_p = 0.02F},
      {.temperature = 3.0F, .top_k = 5000, .top_p = 0.5F}
  };
  int num_compared = 0;
  for (const int size : {1, 7, 1000, 1024, 1025, 20011}) {
    std::vector<float> logits = random_values(static_cast<std::size_t>(size), 5);
    for (float& value : logits) value = value * value * value * 20.0F;
    const auto uniforms = random_values(8, 6);
    for (TokenRule rule : rules) {
      for (const float uniform : uniforms) {
        rule.uniform = (uniform + 1.0F) / 2.0F;
        const Choice expected = sorted_choice(logits, rule);
        if (expected.margin < 2e-6) continue;
        ASSERT_EQ(choose(logits, rule), expected.token)
            << size << " " << rule.top_k << " " << rule.top_p << " " << rule.uniform;
        ++num_compared;
      }
    }
  }
  EXPECT_GT(num_compared, 400);
}

TEST_P(ChooseRow, GreedyTakesTheFirstOfTheBest) {
  for (const int size : {1, 5, 16, 33, 4099}) {
    for (const int best : {0, size / 2, size - 1}) {
      std::vector<float> logits = random_values(static_cast<std::size_t>(size), 3);
      logits[static_cast<std::size_t>(best)] = 5.0F;
      logits.back() = 5.0F;
      EXPECT_EQ(choose(logits, {.temperature = 0.0F}), best);
    }
  }
}

TEST_P(ChooseRow, OfEqualLogitsTheLowerIdsAreKept) {
  const std::vector<float> logits(3000, 1.0F);
  for (const float uniform : {0.0F, 0.5F, 0.99999994F}) {
    EXPECT_LT(choose(logits, {.top_k = 10, .uniform = uniform}), 10);
    EXPECT_LT(choose(logits, {.top_p = 0.01F, .uniform = uniform}), 31);
  }
}

TEST_P(ChooseRow, NeverDrawsWhatHasNoProbability) {
  std::vector<float> logits(5000, -std::numeric_limits<float>::infinity());
  logits[4321] = -3.0F;
  logits[17] = -3.5F;
  for (const float uniform : {0.0F, 0.3F, 0.99999994F}) {
    for (const TokenRule& rule :
         {TokenRule{.uniform = uniform},
          TokenRule{.top_k = 100, .uniform = uniform},
          TokenRule{.top_p = 0.999F, .uniform = uniform}}) {
      const auto token = choose(logits, rule);
      EXPECT_TRUE(token == 17 || token == 4321) << token;
    }
  }
}

TEST_P(ChooseRow, RowsWithoutALargestValueGiveSomeToken) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {NAN, infinity, -infinity}) {
    const std::vector<float> logits(100, bad);
    for (const float temperature : {0.0F, 1.0F}) {
      const auto token = choose(logits, {.temperature = temperature, .top_k = 5, .top_p = 0.5F});
      EXPECT_TRUE(token >= 0 && token < 100);
    }
  }
  const std::vector<float> large{1e38F, 3e38F, 2e38F};
  EXPECT_EQ(choose(large, {.temperature = 1e-30F}), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Paths,
    ChooseRow,
    ::testing::ValuesIn(available_cpu_paths()),
    [](const auto& instance) { return std::string(cpu_path_name(instance.param)); }
);

}  // namespace
}  // namespace mlxs
