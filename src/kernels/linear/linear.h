// A matrix product with a weight that is dense or affine-quantized. Checks and dispatch; the
// reference is MLX's own product.
#pragma once

#include <memory>
#include <optional>

#include "kernels/mx.h"

namespace mlxs {

class WorkerTeam;

// A weight matrix of N rows and K columns.
struct Linear {
  mx::array weight;  // [N, K] float16, bfloat16 or float32; quantized: [N, K * bits / 32] uint32
  // [N, K / group_size]; set: w = scale * q + bias of its group
  std::optional<mx::array> scales = {};
  std::optional<mx::array> biases = {};  // [N, K / group_size]; set with scales
  std::optional<mx::array> bias = {};    // [N], added to the product
  int bits = 0;                          // quantized: 2, 3, 4, 6 or 8
  int group_size = 0;                    // quantized: 32, 64 or 128

  // The threads of the CPU's kernel; nullptr: MLX's own product runs. Shared by a model's layers
  // and by the products that MLX still has queued when the model goes. The arrays must be row-major
  // then.
  std::shared_ptr<WorkerTeam> cpu_team = {};

  [[nodiscard]] bool is_quantized() const { return scales.has_value(); }
};

// x [T, K] -> x w^T + bias [T, N], in the dtype of x.
// REQUIRES: x is row-major 2-D. ERRORS: std::invalid_argument when the shapes do not fit.
[[nodiscard]] mx::array linear(const mx::array& x, const Linear& layer);

// The reference in plain MLX operations; same contract.
[[nodiscard]] mx::array linear_reference(const mx::array& x, const Linear& layer);

}  // namespace mlxs
