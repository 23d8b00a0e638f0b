// Log probabilities of tokens, lazily on the device, in plain MLX operations. They are read next to
// sampling and change nothing of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/mx.h"

namespace mlxs {

// What is asked about one row of logits.
struct ScoreRow {
  int num_top = 0;                               // the likeliest tokens
  std::span<const std::int32_t> token_ids = {};  // not empty: these instead of the likeliest
  // RETURNS: how many tokens are told beside the row's own.
  [[nodiscard]] int num_told() const {
    return token_ids.empty() ? num_top : static_cast<int>(token_ids.size());
  }
};

struct Scores {
  mx::array logprobs;      // [R] float32, of each row's own token
  mx::array ranks;         // [R] int32: how many tokens are at least as likely, itself included
  mx::array top_ids;       // [R, K] int32, the likeliest first, or as ScoreRow::token_ids has them
  mx::array top_logprobs;  // [R, K] float32
};

// logits [R, V] float32, targets [R] int32: the rows' own tokens. K is the largest num_told(), at
// least 1; what a row did not ask for means nothing. Rows are independent.
// REQUIRES: R == rows.size(), R > 0; ids in [0, V).
[[nodiscard]] Scores score_tokens(
    const mx::array& logits, const mx::array& targets, std::span<const ScoreRow> rows
);

}  // namespace mlxs
