// What sampling needs to know of each row of a batch: plain host data, no MLX, so that schedulers
// and tests can make it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/choose_token/filter_row.h"
#include "mlx_serving/sampling.h"
#include "sampling/token_rules.h"

namespace mlxs {

// One row of logits. The spans are views: they are read while sample() builds its graph and not
// afterwards.
struct SamplingRow {
  float temperature = 1.0F;  // 0: greedy
  int top_k = 0;             // 0: off
  float top_p = 1.0F;        // 1: off
  float min_p = 0.0F;        // 0: off
  float repetition_penalty = 1.0F;
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  float uniform = 0.0F;  // in [0, 1): the draw's randomness
  std::span<const std::pair<std::int32_t, float>> logit_bias = {};
  std::span<const std::int32_t> prompt_tokens = {};  // seen by repetition_penalty
  std::span<const std::int32_t> output_tokens = {};  // seen by all three penalties
  std::span<const std::uint32_t> mask = {};  // a bit for each token that may come; empty: all may

  // What few rows have.
  std::span<const std::int32_t> allowed_tokens = {};  // ascending; empty: all are
  std::vector<std::int32_t> banned_tokens = {};
  std::vector<std::pair<std::int32_t, float>> subtracted = {};  // from a token's penalised logit
  // Set: the row's filters, instead of temperature, top_k, top_p and min_p above.
  std::optional<FilterRule> filters = {};
  bool is_kept = false;  // Sampled::kept has the row; only with filters

  [[nodiscard]] bool is_greedy() const { return temperature == 0.0F; }
  [[nodiscard]] bool has_penalty() const {
    return repetition_penalty != 1.0F || presence_penalty != 0.0F || frequency_penalty != 0.0F;
  }
};

struct CpuContext;

struct SamplingBatch {
  std::vector<SamplingRow> rows;         // [B]
  std::shared_ptr<CpuContext> cpu = {};  // the model's on the CPU; null: one thread
};

// Where a sequence stands: its seed, and its tokens so far. The token to be drawn has the position
// prompt + output + in flight.
struct SamplingState {
  std::uint64_t seed = 0;
  std::span<const std::int32_t> prompt_tokens = {};
  std::span<const std::int32_t> output_tokens = {};
  std::size_t num_in_flight = 0;      // tokens after these that only the device knows yet
  const TokenRules* rules = nullptr;  // null: none
  float mirostat_mu = 0.0F;           // bits
};

// RETURNS: the row for the next token of a sequence; it refers to `params`, the rules and the
// state's tokens.
[[nodiscard]] SamplingRow make_sampling_row(
    const SamplingParams& params, const SamplingState& state
);

// RETURNS: mirostat's mu before the first token, and after one of this surprise.
[[nodiscard]] float first_mirostat_mu(const MirostatParams& params);
[[nodiscard]] float next_mirostat_mu(const MirostatParams& params, float mu, float surprise);

}  // namespace mlxs
