// What the attention kernels and the store share: the pool. MLXS_HEAD_DIM is D, a multiple of 32 up
// to 256; MLXS_KV_INT8 is 1 for pools of 8 bits, with a scale for each head of each token.
constant constexpr int kHeadDim = MLXS_HEAD_DIM;
constant constexpr int kDimsPerLane = kHeadDim / 32;
#if MLXS_KV_INT8
typedef int8_t PoolValue;
#else
typedef Half PoolValue;
#endif

// The row of the pool with the token at `position` of a sequence, for one kv head.
inline long pool_row(
    const constant AttentionParams& p, const device int* table, int position, int kv_head
) {
  const long page = table[position / p.page_size];
  return (page * p.page_size + position % p.page_size) * p.num_kv_heads + kv_head;
}

inline float pool_value(
    const device PoolValue* pool, const device float* scales, long row, int dim
) {
#if MLXS_KV_INT8
  return scales[row] * float(pool[row * kHeadDim + dim]);
#else
  return float(pool[row * kHeadDim + dim]);
#endif
}

inline float capped(float score, float cap) {
  return cap > 0.0f ? cap * precise::tanh(score / cap) : score;
}
