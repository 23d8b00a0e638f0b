// Checks, dispatch, and the reference in plain MLX operations.
#include "kernels/linear/linear.h"

#include <mlx/ops.h>

#include <stdexcept>

#include "kernels/linear/linear_cpu.h"

namespace mlxs {
namespace {

void check(const mx::array& x, const Linear& layer) {
  if (x.ndim() != 2 || layer.weight.ndim() != 2)
    throw std::invalid_argument("[linear] needs x [T, K], weight [N, K]");
  const int stored = layer.weight.shape(1);
  const int num_columns = layer.is_quantized() ? layer.scales->shape(1) * layer.group_size : stored;
  if (x.shape(1) != num_columns)
    throw std::invalid_argument("[linear] x and weight have different numbers of columns");
}

}  // namespace

mx::array linear_reference(const mx::array& x, const Linear& layer) {
  check(x, layer);
  mx::array product = x;
  if (layer.is_quantized()) {
    product = mx::quantized_matmul(
        x,
        layer.weight,
        *layer.scales,
        layer.biases,
        /*transpose=*/true,
        layer.group_size,
        layer.bits
    );
  } else {
    // MLX multiplies equal types only: a weight of another type is converted at each call.
    product = mx::matmul(x, mx::transpose(mx::astype(layer.weight, x.dtype())));
  }
  if (layer.bias) product = product + *layer.bias;
  return mx::astype(product, x.dtype());
}

mx::array linear(const mx::array& x, const Linear& layer) {
  check(x, layer);
  return can_run_linear_cpu(x, layer) ? linear_cpu(x, layer) : linear_reference(x, layer);
}

}  // namespace mlxs
