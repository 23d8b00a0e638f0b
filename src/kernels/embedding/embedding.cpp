// Gather, then dequantize what was gathered.
#include "kernels/embedding/embedding.h"

#include <mlx/ops.h>

namespace mlxs {

mx::array embedding(const mx::array& tokens, const Linear& table, mx::Dtype dtype) {
  const mx::array rows = mx::take(table.weight, tokens, 0);
  if (!table.is_quantized()) return mx::astype(rows, dtype);
  const mx::array scales = mx::take(*table.scales, tokens, 0);
  const mx::array biases = mx::take(*table.biases, tokens, 0);
  return mx::astype(mx::dequantize(rows, scales, biases, table.group_size, table.bits), dtype);
}

}  // namespace mlxs
