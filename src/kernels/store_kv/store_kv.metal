// Norms, rotates and stores a step's rows: queries in place, keys and values to the pool. A
// SIMD-group a head; each lane keeps the dimensions that it rotates together, so nothing crosses
// lanes but the sums. No threadgroup memory.
//
// Intensity: about 10 operations for each 4 to 6 bytes: bound by memory.
//
// grid: (rows, (H + 2 Hkv) / 4); threadgroup: 128 threads.
inline void store_head(
    device PoolValue* pool, device float* scales, long row, thread const float* values, uint lane
) {
#if MLXS_KV_INT8
  float largest = 0.0f;
  bool is_finite = true;
  for (int i = 0; i < kDimsPerLane; ++i) {
    is_finite = is_finite && isfinite(values[i]);
    largest = max(largest, fabs(values[i]));
  }
  largest = simd_max(largest);
  is_finite = simd_all(is_finite);
  const float inverse = 127.0f / largest;
  const bool is_usable = is_finite && inverse <= 3.4e38f;
  for (int i = 0; i < kDimsPerLane; ++i)
    pool[row * kHeadDim + int(lane) + 32 * i] =
        PoolValue(is_usable ? rint(values[i] * inverse) : 0.0f);
  // Infinity: attention's result shows what was not finite.
  if (lane == 0) scales[row] = is_usable ? largest * (1.0f / 127.0f) : is_finite ? 0.0f : INFINITY;
#else
  for (int i = 0; i < kDimsPerLane; ++i)
    pool[row * kHeadDim + int(lane) + 32 * i] = Half(values[i]);
#endif
}

kernel void store_rows(
    device Half* qkv [[buffer(0)]],        // [R, (H + 2 Hkv) D]
    device PoolValue* keys [[buffer(1)]],  // [P, S, Hkv, D]
    device PoolValue* values [[buffer(2)]],
    device float* key_scales [[buffer(3)]],  // 8 bits: [P, S, Hkv]
    device float* value_scales [[buffer(4)]],
    const device float* cosines [[buffer(5)]],  // [R, num_frequencies]
    const device float* sines [[buffer(6)]],
    const device Half* q_norm [[buffer(7)]],  // [D], where has_norm
    const device Half* k_norm [[buffer(8)]],
    const device int* positions [[buffer(9)]],     // [R]
    const device int* page_tables [[buffer(10)]],  // [sequences, page_stride]
    const device int* items [[buffer(11)]],        // [rows, 2] row, sequence
    const constant AttentionParams& p [[buffer(12)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]
) {
  const int head = int(group.y) * 4 + int(simd_group);
  if (head >= p.num_heads + 2 * p.num_kv_heads) return;
  const int row = items[2 * group.x];
  const int position = positions[row];
  if (position < 0) return;
  const int width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;
  device Half* source = qkv + long(row) * width + head * kHeadDim;
  const bool is_query = head < p.num_heads;
  const bool is_value = head >= p.num_heads + p.num_kv_heads;
  float dims[kDimsPerLane];
  float factor = 1.0f;
  if (!is_value && p.has_norm != 0) {
    float sum = 0.0f;
    for (int i = 0; i < kDimsPerLane; ++i) {
      const float value = float(source[int(lane) + 32 * i]);
      sum += value * value;
    }
    factor = precise::rsqrt(simd_sum(sum) / float(kHeadDim) + p.norm_eps);
  }
  const device Half* weight = is_query ? q_norm : k_norm;
  const int half_width = p.num_frequencies;
  for (int i = 0; i < kDimsPerLane; ++i) {
    const int dim = int(lane) + 32 * i;
    const bool is_rotated = !is_value && dim < 2 * half_width;
    // Both partners of a rotation are normed here: reading one twice is cheaper than handing it
    // over.
    const int partner = !is_rotated ? dim : dim < half_width ? dim + half_width : dim - half_width;
    float mine = float(source[dim]);
    float other = float(source[partner]);
    if (!is_value && p.has_norm != 0) {
      mine = float(Half(mine * factor * float(weight[dim])));
      other = float(Half(other * factor * float(weight[partner])));
    }
    dims[i] = mine;
    if (!is_rotated) continue;
    const int frequency = row * half_width + dim % half_width;
    const float sine = dim < half_width ? -sines[frequency] : sines[frequency];
    dims[i] = float(Half(mine * cosines[frequency] + other * sine));
  }
  if (is_query) {
    simdgroup_barrier(mem_flags::mem_device);  // every partner is read
    for (int i = 0; i < kDimsPerLane; ++i) source[int(lane) + 32 * i] = Half(dims[i]);
    return;
  }
  const int kv_head = (head - p.num_heads) % p.num_kv_heads;
  const device int* table = page_tables + long(items[2 * group.x + 1]) * p.page_stride;
  const long target = pool_row(p, table, position, kv_head);
  if (is_value) {
    store_head(values, value_scales, target, dims, lane);
  } else {
    store_head(keys, key_scales, target, dims, lane);
  }
}
