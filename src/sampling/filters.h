// Which tokens of a distribution may be drawn, and the draw. Pure functions, row by row, lazy on
// the device.
#pragma once

#include "kernels/mx.h"

namespace mlxs {

// logits [B, V], top_k [B, 1] int32 in [1, V], top_p [B, 1] float32 in (0, 1] -> [B, V] with
// -infinity for all but each row's top_k best tokens, and of these, renormalised, the smallest set
// of best ones with at least the probability top_p. Of equal logits the lower id is the better one.
// Sorts the batch.
[[nodiscard]] mx::array keep_best(
    const mx::array& logits, const mx::array& top_k, const mx::array& top_p
);

// logits [B, V], min_p [B, 1] float32 -> [B, V] with -infinity for tokens less likely than min_p
// times the likeliest.
[[nodiscard]] mx::array keep_likely(const mx::array& logits, const mx::array& min_p);

// logits [B, V], uniform [B, 1] float32 in [0, 1) -> [B] int32: the first token, in order of ids,
// at which the cumulated probability exceeds `uniform`. Never a token with probability 0, unless
// the row has no other.
[[nodiscard]] mx::array draw(const mx::array& logits, const mx::array& uniform);

}  // namespace mlxs
