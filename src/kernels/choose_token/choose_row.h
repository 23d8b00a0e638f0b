// One row of logits to one token, on the host: no sort of the vocabulary, no allocation.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/choose_token/token_kernel.h"

namespace mlxs {

// temperature 0: the best token. Else a draw from those that top_k, then top_p of these
// renormalised, then min_p leave.
struct TokenRule {
  float temperature = 1.0F;
  int top_k = 0;         // 0: off
  float top_p = 1.0F;    // 1: off
  float min_p = 0.0F;    // 0: off
  float uniform = 0.0F;  // in [0, 1)
};

// Memory of one thread, for a vocabulary of any size.
struct ChooseScratch {
  static constexpr int kBlock = 1024;
  static constexpr int kNumBuckets = 2048;

  float weights[kBlock];
  double masses[kNumBuckets];
  std::int32_t counts[kNumBuckets];
  std::span<std::int32_t> ids;   // [V]
  std::span<double> block_sums;  // [ceil(V / kBlock)]
};

// RETURNS: a token in [0, V), the first in order of ids at which the cumulated weight exceeds
// uniform * total; of equal logits the lower id is the better one. For logits without a finite
// largest value any token.
[[nodiscard]] std::int32_t choose_row(
    const TokenKernels& kernels,
    std::span<const float> logits,
    const TokenRule& rule,
    ChooseScratch& scratch
);

}  // namespace mlxs
