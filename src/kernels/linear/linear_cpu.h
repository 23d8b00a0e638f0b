// linear() on the CPU as one primitive over a team of threads, for float32 activations. MLX's own
// product is single- threaded and scalar for quantized weights, and converts a half-precision
// weight at each call.
#pragma once

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// RETURNS: whether linear_cpu() can be used: a team is set, x is float32, the current device is the
// CPU, and the weight is float32, float16, bfloat16, or affine with float32 scales and biases.
[[nodiscard]] bool can_run_linear_cpu(const mx::array& x, const Linear& layer);

// As linear(). REQUIRES: can_run_linear_cpu(x, layer), and shapes that fit.
[[nodiscard]] mx::array linear_cpu(const mx::array& x, const Linear& layer);

}  // namespace mlxs
