// Tables and rotation in plain MLX operations.
#include "kernels/rope/rope.h"

#include <mlx/ops.h>

#include <stdexcept>

namespace mlxs {
namespace {

mx::array frequencies(const std::vector<float>& inv_freq) {
  return mx::array(inv_freq.data(), mx::Shape{1, static_cast<int>(inv_freq.size())}, mx::float32);
}

}  // namespace

RopeTables rope_tables(
    const mx::array& positions, const mx::array& long_rows, const RopeSpec& spec
) {
  mx::array inv_freq = frequencies(spec.inv_freq);
  if (!spec.inv_freq_long.empty()) {
    inv_freq = mx::where(mx::expand_dims(long_rows, 1), frequencies(spec.inv_freq_long), inv_freq);
  }
  const mx::array angles = mx::expand_dims(mx::astype(positions, mx::float32), 1) * inv_freq;
  const mx::array factor(spec.attention_factor);
  return RopeTables{.cos = mx::cos(angles) * factor, .sin = mx::sin(angles) * factor};
}

mx::array apply_rope(const mx::array& x, const RopeTables& tables) {
  const int num_rows = x.shape(0);
  const int num_heads = x.shape(1);
  const int head_dim = x.shape(2);
  const int half = tables.cos.shape(1);
  if (2 * half > head_dim)
    throw std::invalid_argument("[apply_rope] more rotated dimensions than a head has");

  const mx::array cos = mx::expand_dims(tables.cos, 1);
  const mx::array sin = mx::expand_dims(tables.sin, 1);
  const mx::array first =
      mx::astype(mx::slice(x, {0, 0, 0}, {num_rows, num_heads, half}), mx::float32);
  const mx::array second =
      mx::astype(mx::slice(x, {0, 0, half}, {num_rows, num_heads, 2 * half}), mx::float32);
  const mx::array rotated_first = mx::astype(first * cos - second * sin, x.dtype());
  const mx::array rotated_second = mx::astype(second * cos + first * sin, x.dtype());
  if (2 * half == head_dim) return mx::concatenate({rotated_first, rotated_second}, 2);
  const mx::array rest = mx::slice(x, {0, 0, 2 * half}, {num_rows, num_heads, head_dim});
  return mx::concatenate({rotated_first, rotated_second, rest}, 2);
}

}  // namespace mlxs
