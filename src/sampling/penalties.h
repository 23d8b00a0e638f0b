// What is done to logits by token: biases, tokens that may not be drawn, and penalties for tokens
// that were seen. Only the entries concerned are read and written, but for allowed tokens.
#pragma once

#include <vector>

#include "kernels/mx.h"
#include "sampling/sampling_batch.h"

namespace mlxs {

// logits [B, V] float32 -> [B, V]: adds each row's biases; entries of one token add up; banned
// tokens get -infinity. The same array when there are none. ERRORS: engine_error for a token
// outside of the vocabulary.
[[nodiscard]] mx::array apply_logit_bias(const mx::array& logits, const SamplingBatch& batch);

// logits [B, V] float32 -> [B, V]: repetition_penalty on tokens of prompt or output (positive
// logits are divided by it, others multiplied), then presence and frequency penalties on tokens of
// the output. The same array when no row has any. ERRORS: engine_error for a token outside of the
// vocabulary.
// `in_flight`: for each place, oldest first, [B] int32: a further token of the row's output that
// only the device knows, -1 for none.
[[nodiscard]] mx::array apply_penalties(
    const mx::array& logits,
    const SamplingBatch& batch,
    const std::vector<mx::array>& in_flight = {}
);

// logits [B, V] float32 -> [B, V] with -infinity for all but the allowed tokens of rows that have
// such. The same array when none has. ERRORS: as above.
[[nodiscard]] mx::array keep_allowed(const mx::array& logits, const SamplingBatch& batch);

// logits [B, V] float32 -> [B, V] less each row's SamplingRow::subtracted. The same array when
// there are none. ERRORS: as above.
[[nodiscard]] mx::array subtract_entries(const mx::array& logits, const SamplingBatch& batch);

}  // namespace mlxs
