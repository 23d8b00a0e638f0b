// A matrix product with a weight that is dense or affine-quantized. Checks and dispatch; the
// reference is MLX's own product.
#pragma once

#include <memory>
#include <optional>

#include "kernels/cpu/cpu_context.h"
#include "kernels/linear/packed_linear.h"
#include "kernels/mx.h"

namespace mlxs {

// A weight matrix of N rows and K columns.
struct Linear {
  // [N, K] float16, bfloat16 or float32; quantized: [N, K * bits / 32] uint32; packed: empty
  mx::array weight;
  // [N, K / group_size], float16, bfloat16 or float32; set: w = scale * q + bias of its group
  std::optional<mx::array> scales = {};
  std::optional<mx::array> biases = {};  // [N, K / group_size] as scales; set with scales
  std::optional<mx::array> bias = {};    // [N], added to the product
  int bits = 0;                          // quantized: 2, 3, 4, 6 or 8
  int group_size = 0;                    // quantized: 32, 64 or 128

  // Set on the CPU, both or none: the weight and its bias, in place of all arrays above, and what
  // multiplies it. Shared with the products that MLX still has queued when the model goes.
  std::shared_ptr<const PackedLinear> packed = {};
  std::shared_ptr<CpuContext> cpu = {};

  [[nodiscard]] bool is_quantized() const { return scales.has_value(); }
};

// x [T, K] -> x w^T + bias [T, N], in the dtype of x.
// REQUIRES: x is row-major 2-D. ERRORS: std::invalid_argument when the shapes do not fit.
[[nodiscard]] mx::array linear(const mx::array& x, const Linear& layer);

// The reference in plain MLX operations; same contract. A packed weight is unpacked for it.
[[nodiscard]] mx::array linear_reference(const mx::array& x, const Linear& layer);

// RETURNS: the weight as float32 [N, K], dense, without the bias.
[[nodiscard]] mx::array dense_weight(const Linear& layer);

}  // namespace mlxs
