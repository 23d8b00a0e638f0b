// Rules about tokens that need the vocabulary to be made and the sequence so far to be applied:
// what may not be drawn next, and what would repeat. Host data, no MLX.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {

// Of one request, by token ids.
struct TokenRules {
  std::vector<std::int32_t> allowed = {};                 // ascending; empty: all are
  std::vector<std::vector<std::int32_t>> bad_words = {};  // none of them empty
  int min_tokens = 0;  // of the output, before one of end_tokens may come
  std::vector<std::int32_t> end_tokens = {};
  std::vector<std::int32_t> dry_breakers = {};  // ascending
};

// The tokens of a sequence. While num_in_flight > 0 its end is not known on the host.
struct TokenHistory {
  std::span<const std::int32_t> prompt_tokens = {};
  std::span<const std::int32_t> output_tokens = {};
  std::size_t num_in_flight = 0;
};

// RETURNS: whether the next token depends on the order of all those before it, so that none may be
// in flight. `rules` may be null.
[[nodiscard]] bool needs_known_tokens(const SamplingParams& params, const TokenRules* rules);

// RETURNS: tokens that must not come next, beside those that are not allowed; may have repeats.
// REQUIRES: nothing in flight where bad_words has words of several tokens.
[[nodiscard]] std::vector<std::int32_t> banned_tokens(
    const TokenRules& rules, const TokenHistory& history
);

// RETURNS: what DRY subtracts from the logits of tokens. `breakers` ascending.
[[nodiscard]] std::vector<std::pair<std::int32_t, float>> dry_penalties(
    const DryParams& params, std::span<const std::int32_t> breakers, const TokenHistory& history
);

// RETURNS: the history's last `num_tokens` tokens as the spans of prompt and output; -1: all.
[[nodiscard]] TokenHistory last_tokens(const TokenHistory& history, int num_tokens);

}  // namespace mlxs
