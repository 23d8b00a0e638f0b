// The filters of rows that have a FilterRule, in plain MLX operations: the reference of
// kernels/choose_token/filter_row.h, and what runs where that does not. Lazy on the device.
#pragma once

#include <span>

#include "kernels/choose_token/filter_row.h"
#include "kernels/mx.h"

namespace mlxs {

// logits [R, V] float32, a rule for each row -> [R, V]: what the filters leave, -infinity for the
// others. Rows are independent. REQUIRES: all rules have the same filters in the same order, and
// the same version of mirostat.
[[nodiscard]] mx::array filter_rows(const mx::array& logits, std::span<const FilterRule> rules);

// kept [R, V] float32, tokens [R] int32 -> [R] float32: -log2 of each token's probability.
[[nodiscard]] mx::array surprises_of(const mx::array& kept, const mx::array& tokens);

}  // namespace mlxs
