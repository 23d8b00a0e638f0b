// linear() on the CPU as one primitive over a packed weight. MLX's own product is single-threaded
// and scalar for quantized weights, and converts a half-precision weight at each call.
#pragma once

#include <memory>

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// RETURNS: the layer with its weight and bias packed, its arrays let go.
// REQUIRES: evaluated, row-major arrays of a dense or affine weight. THREADS: not while a step of
// `context` runs.
[[nodiscard]] Linear packed_on(const std::shared_ptr<CpuContext>& context, Linear layer);

// As linear(). REQUIRES: a packed layer, and shapes that fit.
[[nodiscard]] mx::array linear_cpu(const mx::array& x, const Linear& layer);

}  // namespace mlxs
