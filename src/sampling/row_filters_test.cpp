// Each filter, several in many orders, and mirostat against a host reference in double precision
// that is written as the papers and llama.cpp's documentation have them: what is left, with which
// probabilities, and what is drawn. On both implementations, the CPU's and MLX's operations.
#include "sampling/row_filters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/choose_token/filter_row.h"
#include "kernels/testing/arrays.h"
#include "mlx_serving/sampling.h"
#include "sampling/philox.h"
#include "sampling/sample.h"
#include "sampling/sampling_batch.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::random_values;

constexpr std::size_t kVocab = 300;
using Logits = std::vector<float>;
using Values = std::vector<double>;

mx::array to_array(const std::vector<Logits>& rows) {
  Logits flat;
  for (const Logits& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return mx::array(
      flat.data(), mx::Shape{static_cast<int>(rows.size()), static_cast<int>(rows[0].size())}
  );
}

Logits random_logits(std::uint32_t seed) {
  Logits logits = random_values(kVocab, seed);
  for (float& value : logits) value *= 4.0F;
  return logits;
}

// --- The reference.
// -----------------------------------------------------------------------------------------------

// margin: how far the closest decision was from going the other way.
struct Reference {
  Values logits;  // -infinity: left out
  double margin = 1.0;

  void leave_out(std::size_t id) { logits[id] = -HUGE_VAL; }
  [[nodiscard]] bool has(std::size_t id) const { return logits[id] > -HUGE_VAL; }
  void decide(double value, double limit) { margin = std::min(margin, std::abs(value - limit)); }
  [[nodiscard]] Values probabilities() const {
    const double best = *std::ranges::max_element(logits);
    Values result;
    for (const double value : logits) result.push_back(std::exp(value - best));
    const double total = std::accumulate(result.begin(), result.end(), 0.0);
    for (double& value : result) value /= total;
    return result;
  }
  [[nodiscard]] double entropy() const {
    double sum = 0.0;
    for (const double p : probabilities()) sum -= p > 0.0 ? p * std::log(p) : 0.0;
    return sum;
  }
  [[nodiscard]] std::vector<std::size_t> best_first() const {
    std::vector<std::size_t> ids;
    for (std::size_t id = 0; id < logits.size(); ++id) {
      if (has(id)) ids.push_back(id);
    }
    std::ranges::stable_sort(ids, [&](auto a, auto b) { return logits[a] > logits[b]; });
    return ids;
  }
  // Keeps the first ids up to the one at which the mass is reached.
  void keep_mass(const std::vector<std::size_t>& order, double wanted) {
    const Values p = probabilities();
    double mass = 0.0;
    for (const std::size_t id : order) {
      if (mass > 0.0) decide(mass, wanted);
      if (mass >= wanted) leave_out(id);
      mass += p[id];
    }
  }
};

void temperature(Reference& state, const SamplingParams& params) {
  double used = double{params.temperature};
  const std::size_t count = state.best_first().size();
  if (params.dynatemp_range > 0.0F && count > 1) {
    const double low = std::max(0.0, used - double{params.dynatemp_range});
    const double high = used + double{params.dynatemp_range};
    const double share = state.entropy() / std::log(static_cast<double>(count));
    used = low + (high - low) * std::pow(share, double{params.dynatemp_exponent});
  }
  for (double& value : state.logits) value /= used;
}

void top_n_sigma(Reference& state, const SamplingParams& params) {
  const auto ids = state.best_first();
  double mean = 0.0;
  for (const std::size_t id : ids) mean += state.logits[id] / static_cast<double>(ids.size());
  double variance = 0.0;
  for (const std::size_t id : ids)
    variance += std::pow(state.logits[id] - mean, 2.0) / static_cast<double>(ids.size());
  const double limit = state.logits[ids[0]] - double{params.top_n_sigma} * std::sqrt(variance);
  for (const std::size_t id : ids) {
    state.decide(state.logits[id], limit);
    if (state.logits[id] < limit) state.leave_out(id);
  }
}

void typical(Reference& state, const SamplingParams& params) {
  const Values p = state.probabilities();
  const double expected = state.entropy();
  auto order = state.best_first();
  const auto distance = [&](std::size_t id) { return std::abs(-std::log(p[id]) - expected); };
  std::ranges::stable_sort(order, [&](auto a, auto b) { return distance(a) < distance(b); });
  state.keep_mass(order, double{params.typical_p});
}

void min_p(Reference& state, const SamplingParams& params) {
  const Values p = state.probabilities();
  const double best = *std::ranges::max_element(p);
  for (const std::size_t id : state.best_first()) {
    if (p[id] < best) state.decide(p[id] / best, double{params.min_p});
    if (p[id] / best < double{params.min_p}) state.leave_out(id);
  }
}

void xtc(Reference& state, const SamplingParams& params, double uniform) {
  state.decide(uniform, double{params.xtc.probability});
  if (uniform >= double{params.xtc.probability}) return;
  const Values p = state.probabilities();
  std::vector<std::size_t> likely;
  for (const std::size_t id : state.best_first()) {
    state.decide(p[id], double{params.xtc.threshold});
    if (p[id] >= double{params.xtc.threshold}) likely.push_back(id);
  }
  for (std::size_t i = 0; i + 1 < likely.size(); ++i) state.leave_out(likely[i]);
}

void mirostat_1(Reference& state, double mu) {
  const auto order = state.best_first();
  const Values p = state.probabilities();
  double products = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i + 1 < std::min<std::size_t>(order.size(), 100); ++i) {
    const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
    products += t * std::log(p[order[i]] / p[order[i + 1]]);
    squares += t * t;
  }
  const double s = products / squares;
  const double n = static_cast<double>(state.logits.size());
  const double k = std::pow((s - 1.0) * std::exp2(mu) / (1.0 - std::pow(n, 1.0 - s)), 1.0 / s);
  if (k > 0.5 && k < n) state.margin = std::min(state.margin, std::abs(k - std::round(k)) / 100.0);
  for (std::size_t rank = static_cast<std::size_t>(std::clamp(k, 1.0, n)); rank < order.size();
       ++rank)
    state.leave_out(order[rank]);
}

void mirostat_2(Reference& state, double mu) {
  const Values p = state.probabilities();
  const auto order = state.best_first();
  for (std::size_t rank = 1; rank < order.size(); ++rank) {
    const double surprise = -std::log2(p[order[rank]]);
    state.decide(surprise, mu);
    if (surprise > mu) state.leave_out(order[rank]);
  }
}

Reference reference_of(const Logits& logits, const SamplingParams& params, const FilterRule& rule) {
  Reference state{.logits = Values(logits.begin(), logits.end())};
  std::vector<SamplerKind> order = params.samplers;
  if (order.empty()) {
    order = {
        SamplerKind::temperature,
        SamplerKind::top_n_sigma,
        SamplerKind::top_k,
        SamplerKind::typical_p,
        SamplerKind::top_p,
        SamplerKind::min_p,
        SamplerKind::xtc
    };
  }
  if (params.mirostat.version != 0) order = {SamplerKind::temperature};
  for (const SamplerKind kind : order) {
    const auto ranked = state.best_first();
    switch (kind) {
      case SamplerKind::temperature:
        temperature(state, params);
        break;
      case SamplerKind::top_n_sigma:
        if (params.top_n_sigma > 0.0F) top_n_sigma(state, params);
        break;
      case SamplerKind::top_k:
        for (std::size_t rank = static_cast<std::size_t>(params.top_k);
             params.top_k > 0 && rank < ranked.size();
             ++rank)
          state.leave_out(ranked[rank]);
        break;
      case SamplerKind::typical_p:
        if (params.typical_p < 1.0F) typical(state, params);
        break;
      case SamplerKind::top_p:
        if (params.top_p < 1.0F) state.keep_mass(ranked, double{params.top_p});
        break;
      case SamplerKind::min_p:
        if (params.min_p > 0.0F) min_p(state, params);
        break;
      case SamplerKind::xtc:
        if (params.xtc.probability > 0.0F) xtc(state, params, double{rule.xtc_uniform});
        break;
    }
  }
  if (params.mirostat.version == 1) mirostat_1(state, double{rule.mirostat_mu});
  if (params.mirostat.version == 2) mirostat_2(state, double{rule.mirostat_mu});
  return state;
}

// --- The cases.
// -----------------------------------------------------------------------------------------------

struct NamedParams {
  std::string name;
  SamplingParams params;

  friend void PrintTo(const NamedParams& named, std::ostream* out) { *out << named.name; }
};

SamplingParams many_filters(std::vector<SamplerKind> order) {
  return {
      .temperature = 0.8F,
      .top_k = 60,
      .top_p = 0.93F,
      .min_p = 0.01F,
      .typical_p = 0.9F,
      .top_n_sigma = 2.5F,
      .xtc = {.probability = 0.5F, .threshold = 0.1F},
      .samplers = std::move(order)
  };
}

std::vector<NamedParams> all_params() {
  using enum SamplerKind;
  return {
      {"typical", {.typical_p = 0.5F}},
      {"typical_hot", {.temperature = 1.8F, .typical_p = 0.9F}},
      {"typical_tiny", {.typical_p = 1e-6F}},
      {"sigma", {.top_n_sigma = 1.0F}},
      {"sigma_tiny", {.top_n_sigma = 0.01F}},
      {"xtc", {.xtc = {.probability = 0.5F, .threshold = 0.05F}}},
      {"xtc_always", {.xtc = {.probability = 1.0F, .threshold = 0.02F}}},
      {"xtc_high", {.xtc = {.probability = 1.0F, .threshold = 0.6F}}},
      {"dynatemp", {.temperature = 1.0F, .dynatemp_range = 0.7F}},
      {"dynatemp_exponent", {.temperature = 0.6F, .dynatemp_range = 0.6F, .dynatemp_exponent = 2.0F}
      },
      {"mirostat_1", {.temperature = 1.2F, .mirostat = {.version = 1, .tau = 3.0F}}},
      {"mirostat_2", {.mirostat = {.version = 2, .tau = 2.0F}}},
      {"mirostat_without_filters", {.top_k = 1, .mirostat = {.version = 2, .tau = 3.0F}}},
      {"default_order", many_filters({})},
      {"llama_order", many_filters({top_n_sigma, top_k, typical_p, top_p, min_p, xtc, temperature})
      },
      {"reversed", many_filters({xtc, min_p, top_p, typical_p, top_k, top_n_sigma, temperature})},
      {"some", many_filters({min_p, temperature, top_k})},
      {"temperature_last", {.temperature = 2.0F, .top_p = 0.8F, .samplers = {top_p, temperature}}},
      {"no_temperature",
       {.temperature = 0.1F, .samplers = {top_p}, .logprobs = {.num_top = 0, .of = LogprobsOf::draw}
       }},
  };
}

SamplingParams kept(SamplingParams params) {
  params.logprobs = {.num_top = 0, .of = LogprobsOf::draw};
  return params;
}

class EachSampler : public ::testing::TestWithParam<NamedParams> {};

void expect_probabilities(
    std::span<const float> logits, const Reference& expected, const std::string& where
) {
  Reference actual{.logits = Values(logits.begin(), logits.end())};
  const Values p = actual.probabilities();
  const Values q = expected.probabilities();
  SamplingParams unused;
  for (std::size_t id = 0; id < q.size(); ++id) {
    // As the reference, or the reference's own temperature was left out by a mere constant.
    if (std::abs(p[id] - q[id]) > 2e-5)
      ADD_FAILURE() << where << " token " << id << ": " << p[id] << ", not " << q[id];
  }
}

TEST_P(EachSampler, LeavesAndDrawsWhatTheReferenceDoes) {
  constexpr std::size_t kNumRows = 120;
  const SamplingParams params = kept(GetParam().params);
  SamplingBatch batch;
  std::vector<Logits> rows;
  std::vector<Reference> expected;
  for (std::size_t i = 0; i < kNumRows; ++i) {
    const float mu = 1.0F + static_cast<float>(i % 7);
    const SamplingState state{.seed = i, .mirostat_mu = mu};
    batch.rows.push_back(make_sampling_row(params, state));
    ASSERT_TRUE(batch.rows.back().filters.has_value());
    rows.push_back(random_logits(static_cast<std::uint32_t>(i)));
    expected.push_back(reference_of(rows.back(), params, *batch.rows.back().filters));
  }
  std::size_t num_compared = 0;
  for (const bool is_plain : {false, true}) {
    const Sampled sampled =
        is_plain ? sample_reference(to_array(rows), batch) : sample(to_array(rows), batch);
    const std::vector<float> kept_values = host_values(sampled.kept);
    const std::vector<float> tokens = host_values(sampled.tokens);
    const std::vector<float> surprises = host_values(sampled.surprises);
    ASSERT_EQ(kept_values.size(), kNumRows * kVocab);
    for (std::size_t i = 0; i < kNumRows; ++i) {
      if (expected[i].margin < 2e-5) continue;  // float32 may decide the other way
      ++num_compared;
      const std::string where = (is_plain ? "operations, row " : "cpu, row ") + std::to_string(i);
      expect_probabilities(std::span(kept_values).subspan(i * kVocab, kVocab), expected[i], where);
      const Values p = expected[i].probabilities();
      const double uniform = double{batch.rows[i].uniform};
      double mass = 0.0;
      std::size_t token = 0;
      double margin = 1.0;
      for (std::size_t id = 0; id < p.size(); ++id) {
        if (p[id] == 0.0) continue;
        token = id;
        mass += p[id];
        margin = std::min(margin, std::abs(mass - uniform));
        if (mass > uniform) break;
      }
      if (margin < 1e-5) continue;
      EXPECT_EQ(static_cast<std::size_t>(tokens[i]), token) << where;
      EXPECT_NEAR(double{surprises[i]}, -std::log2(p[token]), 1e-3) << where;
    }
  }
  EXPECT_GT(num_compared, kNumRows);
}

INSTANTIATE_TEST_SUITE_P(
    Sampling,
    EachSampler,
    ::testing::ValuesIn(all_params()),
    [](const auto& instance) { return instance.param.name; }
);

TEST(RowFilters, DrawsFollowTheDistribution) {
  constexpr int kNumDraws = 20000;
  const Logits logits = random_logits(9);
  const SamplingParams params = many_filters(
      {SamplerKind::top_n_sigma,
       SamplerKind::typical_p,
       SamplerKind::top_k,
       SamplerKind::temperature}
  );
  SamplingBatch batch;
  for (int i = 0; i < kNumDraws; ++i)
    batch.rows.push_back(make_sampling_row(params, {.seed = static_cast<std::uint64_t>(i)}));
  const Values p = reference_of(logits, params, *batch.rows[0].filters).probabilities();
  std::vector<int> counts(kVocab, 0);
  const auto tokens =
      host_values(sample(to_array(std::vector<Logits>(kNumDraws, logits)), batch).tokens);
  for (const float token : tokens) ++counts[static_cast<std::size_t>(token)];
  double chi_square = 0.0;
  int num_kept = 0;
  for (std::size_t id = 0; id < p.size(); ++id) {
    const double expected = p[id] * kNumDraws;
    if (expected == 0.0) {
      EXPECT_EQ(counts[id], 0) << id;
      continue;
    }
    ++num_kept;
    chi_square += (counts[id] - expected) * (counts[id] - expected) / expected;
  }
  EXPECT_GT(num_kept, 8);
  // p = 0.001, by Wilson and Hilferty's approximation
  const double freedom = num_kept - 1;
  const double limit =
      freedom *
      std::pow(1.0 - 2.0 / (9.0 * freedom) + 3.09 * std::sqrt(2.0 / (9.0 * freedom)), 3.0);
  EXPECT_LT(chi_square, limit);
}

TEST(RowFilters, ARowDrawsTheSameWhateverItsNeighboursAskFor) {
  SamplingBatch batch;
  std::vector<Logits> rows;
  std::vector<float> alone;
  std::vector<float> alone_plain;
  std::vector<NamedParams> all = all_params();
  all.push_back({"plain", {}});
  all.push_back({"greedy", {.temperature = 0.0F}});
  all.push_back({"top_p", {.temperature = 0.7F, .top_p = 0.9F}});
  for (const NamedParams& named : all) {
    rows.push_back(random_logits(500 + static_cast<std::uint32_t>(rows.size())));
    const SamplingBatch one{
        .rows = {make_sampling_row(named.params, {.seed = rows.size(), .mirostat_mu = 4.0F})}
    };
    alone.push_back(host_values(sample(to_array({rows.back()}), one).tokens)[0]);
    alone_plain.push_back(host_values(sample_reference(to_array({rows.back()}), one).tokens)[0]);
    batch.rows.push_back(one.rows[0]);
  }
  EXPECT_EQ(host_values(sample(to_array(rows), batch).tokens), alone);
  EXPECT_EQ(host_values(sample_reference(to_array(rows), batch).tokens), alone_plain);
  std::ranges::reverse(rows);
  std::ranges::reverse(batch.rows);
  std::ranges::reverse(alone);
  EXPECT_EQ(host_values(sample(to_array(rows), batch).tokens), alone);
}

TEST(RowFilters, MirostatSettlesAtItsSurprise) {
  SamplingParams params{.mirostat = {.version = 2, .tau = 3.0F, .eta = 0.1F}};
  double sum = 0.0;
  constexpr int kNumSteps = 600;
  constexpr int kNumIgnored = 100;
  float mu = first_mirostat_mu(params.mirostat);
  EXPECT_EQ(mu, 6.0F);
  for (int step = 0; step < kNumSteps; ++step) {
    // Flat enough that a plain draw would surprise more.
    Logits logits = random_values(kVocab, static_cast<std::uint32_t>(step));
    const SamplingBatch batch{
        .rows = {make_sampling_row(
            params, {.seed = static_cast<std::uint64_t>(step), .mirostat_mu = mu}
        )}
    };
    const float surprise = host_values(sample(to_array({logits}), batch).surprises)[0];
    mu = next_mirostat_mu(params.mirostat, mu, surprise);
    if (step >= kNumIgnored) sum += double{surprise};
  }
  EXPECT_NEAR(sum / (kNumSteps - kNumIgnored), 3.0, 0.1);
}

TEST(RowFilters, RowsThatNeedNoneHaveNone) {
  using enum SamplerKind;
  const auto has_filters = [](const SamplingParams& params) {
    return make_sampling_row(params, {}).filters.has_value();
  };
  EXPECT_FALSE(has_filters({}));
  EXPECT_FALSE(has_filters({.temperature = 0.7F, .top_k = 40, .top_p = 0.9F, .min_p = 0.1F}));
  EXPECT_FALSE(has_filters({.temperature = 0.7F, .top_k = 4, .samplers = {temperature, top_k}}));
  EXPECT_FALSE(has_filters({.top_k = 40, .samplers = {xtc, typical_p, top_k, temperature}}));
  EXPECT_TRUE(has_filters({.temperature = 0.7F, .top_p = 0.9F, .samplers = {top_p, temperature}}));
  EXPECT_FALSE(has_filters({.temperature = 0.0F, .typical_p = 0.5F}));
  const SamplingRow without =
      make_sampling_row({.top_k = 40, .top_p = 0.5F, .samplers = {top_k}}, {});
  EXPECT_EQ(without.top_p, 1.0F);
  EXPECT_EQ(without.top_k, 40);
}

TEST(RowFilters, TokensThatMayNotComeNeverDo) {
  const Logits logits = random_logits(3);
  const auto best = static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  const TokenRules bans{.bad_words = {{best}}};
  const TokenRules allowed{.allowed = {1, 5, 200}, .bad_words = {{5}}};
  for (const float temperature : {0.0F, 2.0F}) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const SamplingParams params{.temperature = temperature, .repetition_penalty = 1.3F};
      const std::vector<std::int32_t> output{1, 5, 7};
      const auto token_of = [&](const TokenRules& rules) {
        const SamplingBatch batch{
            .rows = {make_sampling_row(
                params, {.seed = seed, .output_tokens = output, .rules = &rules}
            )}
        };
        return static_cast<std::int32_t>(host_values(sample(to_array({logits}), batch).tokens)[0]);
      };
      EXPECT_NE(token_of(bans), best);
      const std::int32_t token = token_of(allowed);
      EXPECT_TRUE(token == 1 || token == 200) << token;
    }
  }
}

TEST(RowFilters, WhatRepeatsLosesDrysPenalty) {
  const Logits logits = random_logits(4);
  const std::vector<std::int32_t> output{10, 11, 12, 10, 11};
  const SamplingParams params = kept({.dry = {.multiplier = 0.8F}});
  const SamplingBatch batch{.rows = {make_sampling_row(params, {.output_tokens = output})}};
  const std::vector<float> values = host_values(sample(to_array({logits}), batch).kept);
  for (std::size_t id = 0; id < kVocab; ++id)
    EXPECT_FLOAT_EQ(values[id], logits[id] - (id == 12 ? 0.8F : 0.0F)) << id;
}

}  // namespace
}  // namespace mlxs
