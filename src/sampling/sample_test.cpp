// The chain against a scalar reference over random logits, link by link and together; the
// distribution of draws; independence of rows; ties, excluded tokens and rows that are not numbers.
#include "sampling/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <ostream>
#include <string>

#include "kernels/testing/arrays.h"
#include "mlx_serving/error.h"
#include "sampling/filters.h"
#include "sampling/penalties.h"
#include "sampling/philox.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_values;

constexpr int kVocab = 50;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
using Logits = std::vector<float>;

mx::array to_array(const std::vector<Logits>& rows) {
  Logits flat;
  for (const Logits& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return mx::array(
      flat.data(), mx::Shape{static_cast<int>(rows.size()), static_cast<int>(rows[0].size())}
  );
}

std::vector<int> tokens_of(const std::vector<Logits>& rows, const SamplingBatch& batch) {
  const std::vector<float> values = host_values(sample(to_array(rows), batch).tokens);
  return {values.begin(), values.end()};
}

int token_of(const Logits& logits, const SamplingRow& row) {
  return tokens_of({logits}, {.rows = {row}})[0];
}

Logits random_logits(std::uint32_t seed) {
  Logits logits = random_values(kVocab, seed);
  for (float& value : logits) value *= 4.0F;
  return logits;
}

// --- The scalar reference, in double precision.
// -------------------------------------------------------------------

using Values = std::vector<double>;

Values softmax(const Values& logits) {
  const double best = *std::ranges::max_element(logits);
  Values result;
  for (const double value : logits) result.push_back(std::exp(value - best));
  const double total = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& value : result) value /= total;
  return result;
}

Values reference_adjusted(const Logits& logits, const SamplingRow& row) {
  Values values(logits.begin(), logits.end());
  for (const auto& [token, bias] : row.logit_bias)
    values[static_cast<std::size_t>(token)] += double{bias};
  std::map<std::int32_t, int> outputs;
  for (const std::int32_t token : row.prompt_tokens) outputs[token] += 0;
  for (const std::int32_t token : row.output_tokens) outputs[token] += 1;
  for (const auto& [token, count] : outputs) {
    double& value = values[static_cast<std::size_t>(token)];
    value = value > 0.0 ? value / double{row.repetition_penalty}
                        : value * double{row.repetition_penalty};
    if (count > 0) value -= double{row.presence_penalty} + count * double{row.frequency_penalty};
  }
  return values;
}

struct Kept {
  Values logits;        // -infinity: not kept
  double margin = 1.0;  // how far the closest decision was from going the other way
};

Kept reference_kept(Values values, const SamplingRow& row) {
  double margin = 1.0;
  for (double& value : values) value /= row.is_greedy() ? 1.0 : double{row.temperature};
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return values[a] > values[b];
  });
  if (row.top_k > 0) {
    for (std::size_t rank = static_cast<std::size_t>(row.top_k); rank < order.size(); ++rank) {
      values[order[rank]] = -HUGE_VAL;
    }
  }
  if (row.top_p < 1.0F) {
    const Values probabilities = softmax(values);
    double mass = 0.0;
    for (const std::size_t token : order) {
      if (mass > 0.0) margin = std::min(margin, std::abs(mass - double{row.top_p}));
      if (mass >= double{row.top_p}) values[token] = -HUGE_VAL;
      mass += probabilities[token];
    }
  }
  if (row.min_p > 0.0F) {
    const double best = *std::ranges::max_element(values);
    for (double& value : values) {
      const double ratio = std::exp(value - best);
      if (ratio < 1.0) margin = std::min(margin, std::abs(ratio - double{row.min_p}));
      if (ratio < double{row.min_p}) value = -HUGE_VAL;
    }
  }
  return {.logits = std::move(values), .margin = margin};
}

struct Choice {
  int token = 0;
  double margin = 1.0;
};

Choice reference_choice(const Logits& logits, const SamplingRow& row) {
  const Values adjusted = reference_adjusted(logits, row);
  if (row.is_greedy()) {
    return {.token = static_cast<int>(std::ranges::max_element(adjusted) - adjusted.begin())};
  }
  Kept kept = reference_kept(adjusted, row);
  double mass = 0.0;
  int last = 0;
  const Values probabilities = softmax(kept.logits);
  for (std::size_t token = 0; token < probabilities.size(); ++token) {
    if (probabilities[token] == 0.0) continue;
    mass += probabilities[token];
    last = static_cast<int>(token);
    kept.margin = std::min(kept.margin, std::abs(mass - double{row.uniform}));
    if (mass > double{row.uniform}) break;
  }
  return {.token = last, .margin = kept.margin};
}

// --- Links of the chain.
// ------------------------------------------------------------------------------------------

struct NamedRow {
  std::string name;
  SamplingRow row;

  friend void PrintTo(const NamedRow& named, std::ostream* out) { *out << named.name; }
};

// Data that the spans of rows below refer to.
const std::vector<std::pair<std::int32_t, float>>& some_biases() {
  static const std::vector<std::pair<std::int32_t, float>> biases{
      {3, 5.0F}, {7, -100.0F}, {3, -1.5F}, {49, 2.0F}
  };
  return biases;
}
const std::vector<std::int32_t>& some_prompt() {
  static const std::vector<std::int32_t> tokens{1, 2, 3, 3, 40};
  return tokens;
}
const std::vector<std::int32_t>& some_output() {
  static const std::vector<std::int32_t> tokens{2, 5, 5, 5, 49};
  return tokens;
}

SamplingRow penalised(float repetition, float presence, float frequency) {
  return {
      .repetition_penalty = repetition,
      .presence_penalty = presence,
      .frequency_penalty = frequency,
      .prompt_tokens = some_prompt(),
      .output_tokens = some_output()
  };
}

SamplingRow everything(float temperature) {
  SamplingRow row = penalised(1.3F, 0.5F, -0.4F);
  row.temperature = temperature;
  row.top_k = 20;
  row.top_p = 0.8F;
  row.min_p = 0.05F;
  row.logit_bias = some_biases();
  return row;
}

std::vector<NamedRow> all_rows() {
  return {
      {"plain", {}},
      {"greedy", {.temperature = 0.0F}},
      {"cold", {.temperature = 0.3F}},
      {"hot", {.temperature = 2.0F}},
      {"top_k_1", {.top_k = 1}},
      {"top_k_10", {.top_k = 10}},
      {"top_k_beyond", {.top_k = 1000}},
      {"top_p", {.top_p = 0.6F}},
      {"top_p_tiny", {.top_p = 1e-6F}},
      {"min_p", {.min_p = 0.1F}},
      {"min_p_1", {.min_p = 1.0F}},
      {"bias", {.logit_bias = some_biases()}},
      {"repetition", penalised(1.7F, 0.0F, 0.0F)},
      {"repetition_below_1", penalised(0.6F, 0.0F, 0.0F)},
      {"presence", penalised(1.0F, 1.5F, 0.0F)},
      {"frequency", penalised(1.0F, 0.0F, 0.7F)},
      {"top_k_and_top_p", {.temperature = 1.4F, .top_k = 12, .top_p = 0.7F}},
      {"top_p_and_min_p", {.top_p = 0.9F, .min_p = 0.02F}},
      {"everything", everything(0.8F)},
      {"everything_greedy", everything(0.0F)},
  };
}

class EachFilter : public ::testing::TestWithParam<NamedRow> {};

TEST_P(EachFilter, DrawsWhatTheScalarReferenceDraws) {
  constexpr int kNumDraws = 200;
  SamplingBatch batch;
  std::vector<Logits> rows;
  std::vector<Choice> expected;
  for (int draw_index = 0; draw_index < kNumDraws; ++draw_index) {
    SamplingRow row = GetParam().row;
    row.uniform = uniform_draw(11, static_cast<std::uint64_t>(draw_index));
    rows.push_back(random_logits(static_cast<std::uint32_t>(draw_index)));
    expected.push_back(reference_choice(rows.back(), row));
    batch.rows.push_back(row);
  }
  const std::vector<int> tokens = tokens_of(rows, batch);
  const std::vector<float> plain = host_values(sample_reference(to_array(rows), batch).tokens);
  int num_compared = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (expected[i].margin < 1e-5) continue;  // float32 may decide the other way
    ++num_compared;
    EXPECT_EQ(tokens[i], expected[i].token) << "row " << i;
    EXPECT_EQ(static_cast<int>(plain[i]), expected[i].token) << "row " << i;
  }
  EXPECT_GT(num_compared, kNumDraws * 9 / 10);
}

INSTANTIATE_TEST_SUITE_P(
    Sampling,
    EachFilter,
    ::testing::ValuesIn(all_rows()),
    [](const auto& instance) { return instance.param.name; }
);

TEST(Sampling, AdjustsExactlyTheEntriesConcerned) {
  const Logits logits = random_logits(5);
  for (const NamedRow& named : all_rows()) {
    const SamplingBatch batch{.rows = {named.row}};
    const Values expected = reference_adjusted(logits, named.row);
    const mx::array adjusted = apply_penalties(apply_logit_bias(to_array({logits}), batch), batch);
    expect_close(host_values(adjusted), Logits(expected.begin(), expected.end()), 1e-5F);
  }
}

TEST(Sampling, RowsWithTheirOwnParametersDrawAsTheyDoAlone) {
  SamplingBatch batch;
  std::vector<Logits> rows;
  std::vector<int> alone;
  for (const NamedRow& named : all_rows()) {
    const auto index = static_cast<std::uint32_t>(rows.size());
    SamplingRow row = named.row;
    row.uniform = uniform_draw(23, index);
    rows.push_back(random_logits(100 + index));
    alone.push_back(token_of(rows.back(), row));
    batch.rows.push_back(row);
  }
  EXPECT_EQ(tokens_of(rows, batch), alone);
  std::ranges::reverse(rows);
  std::ranges::reverse(batch.rows);
  std::ranges::reverse(alone);
  EXPECT_EQ(tokens_of(rows, batch), alone);
}

TEST(Sampling, EqualSeedsDrawEqualTokensAndOthersDiffer) {
  SamplingParams params;
  params.temperature = 1.5F;
  const std::vector<std::int32_t> prompt{1, 2};
  const auto drawn = [&](std::uint64_t seed) {
    std::vector<std::int32_t> output;
    for (int step = 0; step < 40; ++step) {
      const SamplingState state{.seed = seed, .prompt_tokens = prompt, .output_tokens = output};
      output.push_back(token_of(random_logits(3), make_sampling_row(params, state)));
    }
    return output;
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
  const std::vector<std::int32_t> tokens = drawn(1);
  EXPECT_GT(
      std::ranges::count_if(tokens, [&](std::int32_t token) { return token != tokens[0]; }), 10
  );
}

TEST(Sampling, DrawsFollowTheDistribution) {
  constexpr int kNumDraws = 20000;
  const Logits logits = random_logits(9);
  const SamplingRow row{.temperature = 1.2F, .top_k = 12, .top_p = 0.95F};
  const Values probabilities = softmax(reference_kept(reference_adjusted(logits, row), row).logits);
  SamplingBatch batch;
  for (int i = 0; i < kNumDraws; ++i) {
    batch.rows.push_back(row);
    batch.rows.back().uniform = uniform_draw(31, static_cast<std::uint64_t>(i));
  }
  std::vector<int> counts(kVocab, 0);
  for (const int token : tokens_of(std::vector<Logits>(kNumDraws, logits), batch)) {
    ++counts[static_cast<std::size_t>(token)];
  }
  double chi_square = 0.0;
  int num_kept = 0;
  for (std::size_t token = 0; token < counts.size(); ++token) {
    const double expected = probabilities[token] * kNumDraws;
    if (expected == 0.0) {
      EXPECT_EQ(counts[token], 0) << token;
      continue;
    }
    ++num_kept;
    chi_square += (counts[token] - expected) * (counts[token] - expected) / expected;
  }
  EXPECT_GT(num_kept, 5);
  EXPECT_LE(num_kept, 12);
  EXPECT_LT(chi_square, 31.3);  // p = 0.001 at 11 degrees of freedom, the most there can be
}

// --- Edges.
// -------------------------------------------------------------------------------------------------------

TEST(Sampling, OfEqualLogitsTheLowestIdIsTheBest) {
  Logits logits(kVocab, 1.0F);
  logits[20] = logits[33] = 2.0F;
  EXPECT_EQ(token_of(logits, {.temperature = 0.0F}), 20);
  EXPECT_EQ(token_of(logits, {.top_k = 1, .uniform = 0.99F}), 20);
  EXPECT_EQ(token_of(logits, {.top_p = 1e-6F, .uniform = 0.99F}), 20);
  EXPECT_EQ(token_of(logits, {.min_p = 1.0F, .uniform = 0.99F}), 33);
}

TEST(Sampling, NeverDrawsAnExcludedToken) {
  Logits logits(kVocab, -kInfinity);
  logits[10] = 0.0F;
  logits[40] = 0.0F;
  for (const float uniform : {0.0F, 0.49F, 0.51F, 1.0F - 0x1p-24F}) {
    for (const SamplingRow& row :
         {SamplingRow{.uniform = uniform},
          SamplingRow{.top_p = 0.99F, .uniform = uniform},
          SamplingRow{.top_k = 30, .min_p = 0.5F, .uniform = uniform}}) {
      EXPECT_EQ(token_of(logits, row), uniform < 0.5F ? 10 : 40);
    }
  }
}

TEST(Sampling, ExtremesOfTheUniformStayInRangeInALargeVocabulary) {
  const Logits logits(150000, 0.0F);
  EXPECT_EQ(token_of(logits, {.uniform = 0.0F}), 0);
  const int last = token_of(logits, {.uniform = 1.0F - 0x1p-24F});
  EXPECT_GT(last, 149000);
  EXPECT_LT(last, 150000);
}

TEST(Sampling, RowsThatAreNotNumbersAreFlaggedAndLeaveOthersAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Logits> rows{
      random_logits(1), random_logits(2), random_logits(3), random_logits(4), random_logits(5)
  };
  rows[1][7] = nan;
  rows[2][7] = kInfinity;
  rows[3].assign(kVocab, -kInfinity);
  rows[4][7] = -kInfinity;
  for (const SamplingRow& row :
       {SamplingRow{.temperature = 0.0F},
        SamplingRow{.top_k = 5, .top_p = 0.9F, .min_p = 0.1F, .uniform = 0.5F}}) {
    const SamplingBatch batch{.rows = std::vector<SamplingRow>(5, row)};
    const Sampled sampled = sample(to_array(rows), batch);
    EXPECT_EQ(host_values(sampled.valid), (std::vector<float>{1, 0, 0, 0, 1}));
    const std::vector<float> tokens = host_values(sampled.tokens);
    EXPECT_EQ(tokens[0], static_cast<float>(token_of(rows[0], row)));
    EXPECT_EQ(tokens[4], static_cast<float>(token_of(rows[4], row)));
    for (const float token : tokens) EXPECT_TRUE(token >= 0.0F && token < kVocab) << token;
  }
}

TEST(Sampling, RefusesTokensOutsideOfTheVocabularyAndBatchesThatDoNotFit) {
  const std::vector<std::int32_t> bad_tokens{kVocab};
  const std::vector<std::pair<std::int32_t, float>> bad_bias{{-1, 1.0F}};
  EXPECT_THROW((void)token_of(random_logits(1), {.logit_bias = bad_bias}), Error);
  EXPECT_THROW(
      (void)token_of(random_logits(1), {.presence_penalty = 1.0F, .output_tokens = bad_tokens}),
      Error
  );
  EXPECT_THROW((void)tokens_of({random_logits(1)}, {}), Error);
  EXPECT_THROW((void)tokens_of({random_logits(1)}, {.rows = {{}, {}}}), Error);
}

}  // namespace
}  // namespace mlxs
