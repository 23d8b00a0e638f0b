// Rows of a dense or quantized table; only the rows asked for are expanded.
#pragma once

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// tokens [T] int32 -> [T, K] of `dtype`.
// REQUIRES: every token is in [0, N); it is not checked again, as tokens may not be on the host
// yet.
[[nodiscard]] mx::array embedding(const mx::array& tokens, const Linear& table, mx::Dtype dtype);

}  // namespace mlxs
