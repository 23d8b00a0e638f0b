// Bans and DRY against plain searches of the history; windows; when the history must be known.
#include "sampling/token_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {
namespace {

using Ids = std::vector<std::int32_t>;

// For each position, counts backwards token by token: quadratic, and plainly what DRY means.
std::map<std::int32_t, float> searched_penalties(
    const DryParams& params, const Ids& breakers, const Ids& all
) {
  const std::size_t num_seen =
      params.last_tokens < 0 ? all.size()
                             : std::min(all.size(), static_cast<std::size_t>(params.last_tokens));
  const Ids ids(all.end() - static_cast<std::ptrdiff_t>(num_seen), all.end());
  const auto is_breaker = [&](std::int32_t id) { return std::ranges::count(breakers, id) > 0; };
  std::map<std::int32_t, int> longest;
  for (std::size_t last = 0; last + 1 < ids.size(); ++last) {
    int length = 0;
    for (std::size_t i = 0; i <= last; ++i) {
      const std::int32_t newest = ids[ids.size() - 1 - i];
      if (is_breaker(newest) || ids[last - i] != newest) break;
      ++length;
    }
    const std::int32_t next = ids[last + 1];
    if (length >= params.allowed_length && !is_breaker(next))
      longest[next] = std::max(longest[next], length);
  }
  std::map<std::int32_t, float> penalties;
  for (const auto& [id, length] : longest) {
    penalties[id] = static_cast<float>(
        double{params.multiplier} *
        std::pow(double{params.base}, static_cast<double>(length - params.allowed_length))
    );
  }
  return penalties;
}

TEST(TokenRules, DryFindsWhatAPlainSearchFinds) {
  std::mt19937 random(7);
  int num_penalised = 0;
  for (int round = 0; round < 400; ++round) {
    std::uniform_int_distribution<int> letters(0, 3);  // few, so that they repeat
    Ids prompt(static_cast<std::size_t>(random() % 30));
    Ids output(1 + static_cast<std::size_t>(random() % 30));
    for (std::int32_t& id : prompt) id = letters(random);
    for (std::int32_t& id : output) id = letters(random);
    const DryParams params{
        .multiplier = 0.5F + static_cast<float>(round % 3),
        .base = 1.5F,
        .allowed_length = 1 + round % 3,
        .last_tokens = round % 4 == 0 ? 12 : -1
    };
    const Ids breakers = round % 2 == 0 ? Ids{3} : Ids{};
    Ids all = prompt;
    all.insert(all.end(), output.begin(), output.end());
    const auto expected = searched_penalties(params, breakers, all);
    const auto found =
        dry_penalties(params, breakers, {.prompt_tokens = prompt, .output_tokens = output});
    const std::map<std::int32_t, float> actual(found.begin(), found.end());
    EXPECT_EQ(actual, expected) << "round " << round;
    num_penalised += static_cast<int>(expected.size());
  }
  EXPECT_GT(num_penalised, 100);
}

TEST(TokenRules, DryStaysFiniteAndOffMeansNothing) {
  const Ids output(4000, 5);
  const auto found =
      dry_penalties({.multiplier = 1.0F, .base = 4.0F}, {}, {.output_tokens = output});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(std::isfinite(found[0].second));
  EXPECT_TRUE(dry_penalties({}, {}, {.output_tokens = output}).empty());
  EXPECT_TRUE(
      dry_penalties({.multiplier = 1.0F, .last_tokens = 0}, {}, {.output_tokens = output}).empty()
  );
}

TEST(TokenRules, BansEndTokensUntilThereAreEnough) {
  const TokenRules rules{.min_tokens = 3, .end_tokens = {2, 9}};
  const Ids output{4, 4};
  EXPECT_EQ(banned_tokens(rules, {.output_tokens = output}), (Ids{2, 9}));
  EXPECT_EQ(banned_tokens(rules, {.output_tokens = output, .num_in_flight = 1}), Ids{});
  EXPECT_EQ(banned_tokens(rules, {.output_tokens = Ids{4}, .num_in_flight = 1}), (Ids{2, 9}));
}

TEST(TokenRules, BansTheLastTokenOfABadWordWhereTheOthersStand) {
  const TokenRules rules{.bad_words = {{7}, {1, 2, 3}, {2, 2}}};
  EXPECT_EQ(banned_tokens(rules, {}), Ids{7});
  EXPECT_EQ(banned_tokens(rules, {.output_tokens = Ids{5, 1, 2}}), (Ids{7, 3, 2}));
  // The prompt's tokens are the client's own.
  EXPECT_EQ(banned_tokens(rules, {.prompt_tokens = Ids{1}, .output_tokens = Ids{2}}), (Ids{7, 2}));
}

TEST(TokenRules, KnowsWhenTheHistoryMustBeKnown) {
  SamplingParams params;
  EXPECT_FALSE(needs_known_tokens(params, nullptr));
  params.repetition_penalty = 1.2F;
  EXPECT_FALSE(needs_known_tokens(params, nullptr));
  params.penalty_last_tokens = 64;
  EXPECT_TRUE(needs_known_tokens(params, nullptr));
  const TokenRules one_token{.bad_words = {{7}}, .min_tokens = 4, .end_tokens = {1}};
  EXPECT_FALSE(needs_known_tokens({}, &one_token));
  const TokenRules two_tokens{.bad_words = {{7, 8}}};
  EXPECT_TRUE(needs_known_tokens({}, &two_tokens));
  EXPECT_TRUE(needs_known_tokens({.mirostat = {.version = 2}}, nullptr));
  EXPECT_TRUE(needs_known_tokens({.dry = {.multiplier = 1.0F}}, nullptr));
}

TEST(TokenRules, AWindowCutsTheOldest) {
  const Ids prompt{1, 2, 3};
  const Ids output{4, 5};
  const TokenHistory history{.prompt_tokens = prompt, .output_tokens = output};
  const auto sizes = [&](int num) {
    const TokenHistory cut = last_tokens(history, num);
    return std::pair(cut.prompt_tokens.size(), cut.output_tokens.size());
  };
  EXPECT_EQ(sizes(-1), std::pair(std::size_t{3}, std::size_t{2}));
  EXPECT_EQ(sizes(0), std::pair(std::size_t{0}, std::size_t{0}));
  EXPECT_EQ(sizes(1), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(sizes(4), std::pair(std::size_t{2}, std::size_t{2}));
  EXPECT_EQ(last_tokens(history, 3).prompt_tokens.front(), 3);
  EXPECT_EQ(sizes(9), std::pair(std::size_t{3}, std::size_t{2}));
}

}  // namespace
}  // namespace mlxs
