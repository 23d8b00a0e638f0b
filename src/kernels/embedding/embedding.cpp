// Gather, then dequantize what was gathered.
#include "kernels/embedding/embedding.h"

#include <mlx/ops.h>

#include "kernels/embedding/embedding_cpu.h"

namespace mlxs {

mx::array embedding(const mx::array& tokens, const Linear& table, mx::Dtype dtype) {
  if (table.packed) return mx::astype(embedding_cpu(tokens, table), dtype);
  const mx::array rows = mx::take(table.weight, tokens, 0);
  if (!table.is_quantized()) return mx::astype(rows, dtype);
  const mx::array scales = mx::astype(mx::take(*table.scales, tokens, 0), dtype);
  const mx::array biases = mx::astype(mx::take(*table.biases, tokens, 0), dtype);
  return mx::dequantize(rows, scales, biases, table.group_size, table.bits);
}

}  // namespace mlxs
