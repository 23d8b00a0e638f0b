// From logits to token ids, lazily on the current device: biases and bans, penalties, mask, the
// row's filters, draw. Rows are independent: what a row draws depends on its own logits and
// parameters only.
#pragma once

#include <vector>

#include "kernels/mx.h"
#include "sampling/sampling_batch.h"

namespace mlxs {

struct Sampled {
  mx::array tokens;  // [B] int32, in [0, V) also for rows that are not valid
  // [B] bool: the logits have no NaN, no +infinity, and some value above -infinity
  mx::array valid;
  // [B] float32: -log2 of the token's probability among what the row's filters left; 0 for rows
  // without SamplingRow::filters
  mx::array surprises;
  // [K, V] float32: for the rows with SamplingRow::is_kept, in order, the logits that the token was
  // drawn from, -infinity for those that were left out; K may be 0
  mx::array kept;
};

// logits [B, V] float32; -infinity excludes a token. Greedy rows take the best token, of equal ones
// the lowest id. REQUIRES: B == batch.rows.size(), B > 0. ERRORS: engine_error for a token outside
// of the vocabulary in a bias or a history: the caller checks requests.
// Chosen by one primitive on the CPU, by the chain of filters.h elsewhere.
// in_flight: for each place, oldest first, [B] int32: a token of the row's output that only the
// device knows yet, -1 for none; penalties count it as any other.
[[nodiscard]] Sampled sample(
    const mx::array& logits,
    const SamplingBatch& batch,
    const std::vector<mx::array>& in_flight = {}
);

// The reference: the chain in plain MLX operations, on any device; same contract. What is drawn may
// differ where two decisions are closer than rounding.
[[nodiscard]] Sampled sample_reference(
    const mx::array& logits,
    const SamplingBatch& batch,
    const std::vector<mx::array>& in_flight = {}
);

}  // namespace mlxs
