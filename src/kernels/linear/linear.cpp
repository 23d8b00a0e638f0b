// Checks, dispatch, and the reference in plain MLX operations.
#include "kernels/linear/linear.h"

#include <mlx/allocator.h>
#include <mlx/ops.h>

#include <cstddef>
#include <stdexcept>
#include <utility>

#include "kernels/linear/linear_cpu.h"

namespace mlxs {
namespace {

int num_columns(const Linear& layer) {
  if (layer.packed) return layer.packed->num_columns;
  return layer.is_quantized() ? layer.scales->shape(1) * layer.group_size : layer.weight.shape(1);
}

void check(const mx::array& x, const Linear& layer) {
  if (x.ndim() != 2 || (!layer.packed && layer.weight.ndim() != 2))
    throw std::invalid_argument("[linear] needs x [T, K], weight [N, K]");
  if (x.shape(1) != num_columns(layer))
    throw std::invalid_argument("[linear] x and weight have different numbers of columns");
}

mx::array unpacked(const PackedLinear& packed) {
  const auto num_values =
      static_cast<std::size_t>(packed.num_outputs) * static_cast<std::size_t>(packed.num_columns);
  mx::array rows(
      mx::allocator::Data(mx::allocator::malloc(num_values * sizeof(float))),
      {packed.num_outputs, packed.num_columns},
      mx::float32
  );
  unpack_rows(packed, 0, packed.num_outputs, rows.data<float>());
  return rows;
}

std::optional<mx::array> bias_of(const Linear& layer) {
  if (!layer.packed) return layer.bias;
  if (layer.packed->bias.size() == 0) return std::nullopt;
  return mx::array(
      reinterpret_cast<const float*>(layer.packed->bias.data()), {layer.packed->num_outputs}
  );
}

}  // namespace

mx::array dense_weight(const Linear& layer) {
  if (layer.packed) return unpacked(*layer.packed);
  if (!layer.is_quantized()) return mx::astype(layer.weight, mx::float32);
  return mx::dequantize(
      layer.weight,
      mx::astype(*layer.scales, mx::float32),
      mx::astype(*layer.biases, mx::float32),
      layer.group_size,
      layer.bits
  );
}

mx::array linear_reference(const mx::array& x, const Linear& layer) {
  check(x, layer);
  mx::array product = x;
  if (layer.is_quantized()) {
    product = mx::quantized_matmul(
        x,
        layer.weight,
        mx::astype(*layer.scales, x.dtype()),
        mx::astype(*layer.biases, x.dtype()),
        /*transpose=*/true,
        layer.group_size,
        layer.bits
    );
  } else {
    // MLX multiplies equal types only: a weight of another type is converted at each call.
    const mx::array weight = layer.packed ? unpacked(*layer.packed) : layer.weight;
    product = mx::matmul(x, mx::transpose(mx::astype(weight, x.dtype())));
  }
  if (const auto bias = bias_of(layer)) product = product + *bias;
  return mx::astype(product, x.dtype());
}

mx::array linear(const mx::array& x, const Linear& layer) {
  check(x, layer);
  return layer.packed ? linear_cpu(x, layer) : linear_reference(x, layer);
}

}  // namespace mlxs
