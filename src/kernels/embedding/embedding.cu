// Rows of a dense or quantized table. A block for each token.
extern "C" __global__ void __launch_bounds__(256) embed(mlxs::cuda::EmbeddingParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  const long long token = p.tokens[blockIdx.x];
  Half* out = static_cast<Half*>(p.out) + static_cast<long long>(blockIdx.x) * p.num_columns;
  for (int column = static_cast<int>(threadIdx.x); column < p.num_columns; column += 256) {
    const long long at = token * p.num_columns + column;
    float value = 0.0F;
    if (p.bits == 16) {
      value = to_float(static_cast<const Half*>(p.weight)[at]);
    } else {
      const int per_word = 32 / p.bits;
      const unsigned int word = static_cast<const unsigned int*>(p.weight)[at / per_word];
      const unsigned int whole =
          (word >> (static_cast<int>(at % per_word) * p.bits)) & ((1U << p.bits) - 1);
      const long long group = at / p.group_size;
      value = to_float(static_cast<const Half*>(p.scales)[group]) * static_cast<float>(whole) +
              to_float(static_cast<const Half*>(p.biases)[group]);
    }
    // The product is of two halves, as the reference computes it.
    if (p.factor != 1.0F) value = to_float(to_half(value)) * to_float(to_half(p.factor));
    out[column] = to_half(value);
  }
}
