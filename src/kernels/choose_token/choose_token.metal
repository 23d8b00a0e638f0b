// The best token of each row, the first of equals, and whether its logits are all numbers. A
// threadgroup of 256 threads a row; 64 bytes of threadgroup memory.
//
// Intensity: 3 operations for each 4 bytes: bound by memory; 0.6 MB a row of Llama 3's vocabulary.
struct BestToken {
  float logit;
  int token;
};

inline BestToken better(BestToken a, BestToken b) {
  return b.logit > a.logit || (b.logit == a.logit && b.token < a.token) ? b : a;
}

kernel void argmax_rows(
    const device float* logits [[buffer(0)]],  // [R, V]
    device int* tokens [[buffer(1)]],          // [R]
    device bool* valid [[buffer(2)]],          // [R]
    const constant ArgmaxParams& p [[buffer(3)]],
    uint row [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]]
) {
  threadgroup BestToken bests[8];
  threadgroup bool all_numbers[8];
  const device float* values = logits + long(row) * p.num_columns;
  BestToken best = {kMinusInfinity, 0x7fffffff};
  bool is_valid = true;
  for (int i = int(index); i < p.num_columns; i += 256) {
    is_valid = is_valid && isfinite(values[i]);
    best = better(best, BestToken{values[i], i});
  }
  for (ushort distance = 16; distance > 0; distance /= 2) {
    const BestToken other = {
        simd_shuffle_xor(best.logit, distance), simd_shuffle_xor(best.token, distance)
    };
    best = better(best, other);
  }
  is_valid = simd_all(is_valid);
  if (index % 32 == 0) {
    bests[index / 32] = best;
    all_numbers[index / 32] = is_valid;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (index != 0) return;
  for (int i = 1; i < 8; ++i) {
    best = better(best, bests[i]);
    is_valid = is_valid && all_numbers[i];
  }
  tokens[row] = is_valid ? best.token : 0;
  valid[row] = is_valid;
}
