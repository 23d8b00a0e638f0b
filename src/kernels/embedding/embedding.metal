// Rows of a dense or quantized table. A threadgroup of 256 threads a token; no threadgroup memory.
//
// Intensity: 2 operations for each 2.5 to 4 bytes: bound by memory, and by the launch for few
// tokens.
kernel void embed(
    const device int* tokens [[buffer(0)]],    // [R]
    const device uchar* weight [[buffer(1)]],  // [V, E]
    const device Half* scales [[buffer(2)]],
    const device Half* biases [[buffer(3)]],
    device Half* out [[buffer(4)]],  // [R, E]
    const constant EmbeddingParams& p [[buffer(5)]],
    uint row [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]]
) {
  for (int column = int(index); column < p.num_columns; column += 256) {
    const long at = long(tokens[row]) * p.num_columns + column;
#if MLXS_WEIGHT_BITS == 16
    Half value = ((const device Half*)weight)[at];
#else
    const uint word = ((const device uint*)weight)[at * MLXS_WEIGHT_BITS / 32];
    const uint whole = (word >> (uint(at % (32 / MLXS_WEIGHT_BITS)) * MLXS_WEIGHT_BITS)) &
                       ((1u << MLXS_WEIGHT_BITS) - 1u);
    const long group = at / MLXS_GROUP_SIZE;
    Half value = Half(float(scales[group]) * float(whole) + float(biases[group]));
#endif
    // The product is of two halves, as the reference computes it.
    if (p.factor != 1.0f) value = Half(float(value) * float(Half(p.factor)));
    out[long(row) * p.num_columns + column] = value;
  }
}
