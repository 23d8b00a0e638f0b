// Rows that ask for nothing cost nothing: the others are taken out of the step first.
#include "engine/mlx_extras.h"

#include <mlx/ops.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/batch.h"
#include "mlx_serving/event.h"
#include "mlx_serving/sampling.h"
#include "sampling/score.h"

namespace mlxs {
namespace {

// Rows of logits of prompts that exist at once: a vocabulary is wide.
constexpr std::size_t kMaxScoredRows = 128;

mx::array int_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size())}, mx::int32);
}

ScoreRow score_row_of(const LogprobParams& params) {
  return {.num_top = params.num_top.value_or(0), .token_ids = params.token_ids};
}

// What was left out of a distribution has no log probability to tell.
TokenLogprobs read_row(const Scores& scores, std::size_t row, int num_told) {
  TokenLogprobs told{
      .logprob = scores.logprobs.data<float>()[row], .rank = scores.ranks.data<std::int32_t>()[row]
  };
  const auto width = static_cast<std::size_t>(scores.top_ids.shape(1));
  const auto count = std::min(width, static_cast<std::size_t>(num_told));
  for (std::size_t i = row * width; i < row * width + count; ++i) {
    const float logprob = scores.top_logprobs.data<float>()[i];
    if (std::isfinite(logprob))
      told.top.push_back({.id = scores.top_ids.data<std::int32_t>()[i], .logprob = logprob});
  }
  return told;
}

void add_arrays(const Scores& scores, std::vector<mx::array>& arrays) {
  for (const mx::array& array :
       {scores.logprobs, scores.ranks, scores.top_ids, scores.top_logprobs})
    arrays.push_back(array);
}

// Read row by row on the host.
Scores contiguous(const Scores& scores) {
  return {
      .logprobs = mx::contiguous(scores.logprobs),
      .ranks = mx::contiguous(scores.ranks),
      .top_ids = mx::contiguous(scores.top_ids),
      .top_logprobs = mx::contiguous(scores.top_logprobs)
  };
}

}  // namespace

void StepExtras::add_samples(const Batch& batch, const mx::array& logits, const Sampled& sampled) {
  for (const LogprobsOf of : {LogprobsOf::model, LogprobsOf::draw}) {
    std::vector<std::int32_t> samples;
    std::vector<ScoreRow> rows;
    std::vector<int> num_told;
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      const LogprobParams& params = batch.samples[i].params->logprobs;
      if (!params.num_top || params.of != of) continue;
      samples.push_back(static_cast<std::int32_t>(i));
      rows.push_back(score_row_of(params));
      num_told.push_back(rows.back().num_told());
    }
    if (rows.empty()) continue;
    const mx::array targets = mx::take(sampled.tokens, int_array(samples), 0);
    const mx::array asked =
        of == LogprobsOf::model ? mx::take(logits, int_array(samples), 0) : sampled.kept;
    samples_.push_back(
        {.scores = contiguous(score_tokens(asked, targets, rows)),
         .samples = {samples.begin(), samples.end()},
         .num_told = std::move(num_told)}
    );
  }
}

void StepExtras::add_prompts(const Batch& batch, const mx::array& hidden, const Model& model) {
  for (std::size_t first = 0; first < batch.scores.size(); first += kMaxScoredRows) {
    const std::size_t count = std::min(kMaxScoredRows, batch.scores.size() - first);
    const auto asked = std::span(batch.scores).subspan(first, count);
    std::vector<std::int32_t> rows;
    std::vector<std::int32_t> targets;
    std::vector<ScoreRow> score_rows;
    for (const BatchScore& score : asked) {
      rows.push_back(score.row);
      targets.push_back(score.target);
      score_rows.push_back({.num_top = score.num_top});
    }
    const mx::array logits = model.logits(mx::take(hidden, int_array(rows), 0));
    prompts_.push_back(
        {.scores = contiguous(score_tokens(logits, int_array(targets), score_rows)),
         .rows = {asked.begin(), asked.end()}}
    );
  }
}

void StepExtras::add_pools(const Batch& batch, const mx::array& hidden, const Model& model) {
  for (const BatchPool& pool : batch.pools) {
    const mx::array rows =
        mx::slice(hidden, {pool.first_row, 0}, {pool.first_row + pool.num_rows, hidden.shape(1)});
    const mx::array normed = mx::astype(model.final_hidden(rows), mx::float32);
    pools_.push_back({.pool = pool, .sum = mx::contiguous(mx::sum(normed, 0))});
  }
}

std::vector<mx::array> StepExtras::arrays() const {
  std::vector<mx::array> arrays;
  for (const SampleScores& scores : samples_) add_arrays(scores.scores, arrays);
  for (const PromptScores& scores : prompts_) add_arrays(scores.scores, arrays);
  for (const Pooled& pooled : pools_) arrays.push_back(pooled.sum);
  return arrays;
}

void StepExtras::read_into(StepResult& result) const {
  for (const SampleScores& scores : samples_) {
    for (std::size_t row = 0; row < scores.samples.size(); ++row) {
      SampledToken& token = result.tokens.at(static_cast<std::size_t>(scores.samples[row]));
      TokenLogprobs told = read_row(scores.scores, row, scores.num_told[row]);
      told.id = token.id;
      token.logprobs = std::make_shared<const TokenLogprobs>(std::move(told));
    }
  }
  for (const PromptScores& scores : prompts_) {
    for (std::size_t row = 0; row < scores.rows.size(); ++row) {
      const BatchScore& asked = scores.rows[row];
      TokenLogprobs told = read_row(scores.scores, row, asked.num_top);
      told.id = asked.target;
      result.prompt_scores.push_back(
          {.sequence = asked.sequence, .position = asked.position, .logprobs = std::move(told)}
      );
    }
  }
  for (const Pooled& pooled : pools_) {
    const auto* values = pooled.sum.data<float>();
    result.pools.push_back({.pool = pooled.pool, .sum = {values, values + pooled.sum.size()}});
  }
}

}  // namespace mlxs
