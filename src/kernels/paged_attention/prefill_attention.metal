// Chunks of prompts over the pool: a threadgroup takes up to 64 rows of one sequence and one query
// head, eight SIMD-groups of eight rows, and walks the keys in tiles on the matrix units with an
// online softmax. Queries are rotated, keys and values stored already. Threadgroup memory: two
// tiles of kTileKeys (D + 8) halves, at most 17 KB.
//
// Intensity: 64 rows share each tile: 256 operations a value of the pool, 128 a byte at 16 bits.
//
// grid: (tiles, H); threadgroup: 256 threads.
constant constexpr int kTileKeys = kHeadDim <= 128 ? 32 : 16;
constant constexpr int kPitch = kHeadDim + 8;  // halves; the padding keeps a fragment's banks apart
constant constexpr int kDimSteps = kHeadDim / 8;
constant constexpr int kKeySteps = kTileKeys / 8;

kernel void prefill_attention(
    const device Half* qkv [[buffer(0)]],
    const device PoolValue* keys [[buffer(1)]],
    const device PoolValue* values [[buffer(2)]],
    const device float* key_scales [[buffer(3)]],
    const device float* value_scales [[buffer(4)]],
    const device int* page_tables [[buffer(5)]],
    const device int* items
    [[buffer(6)]],  // [tiles, 4] first row, number of rows, sequence, position of the first row
    device Half* out [[buffer(7)]],  // [R, H D]
    const constant AttentionParams& p [[buffer(8)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]
) {
  threadgroup Half key_tile[kTileKeys * kPitch];
  threadgroup Half value_tile[kTileKeys * kPitch];
  const int first_row = items[4 * group.x];
  const int num_rows = items[4 * group.x + 1];
  const int first_position = items[4 * group.x + 3];
  const device int* table = page_tables + long(items[4 * group.x + 2]) * p.page_stride;
  const int head = int(group.y);
  const int kv_head = head / (p.num_heads / p.num_kv_heads);
  // A lane has two neighbours of one row of each 8 x 8 fragment.
  const int quad = int(lane) / 4;
  const int fragment_row = (quad & 4) + int(lane) / 2 % 4;
  const int fragment_column = (quad & 2) * 2 + int(lane) % 2 * 2;
  const int row = int(simd_group) * 8 + fragment_row;
  const int position = first_position + row;
  const long width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;

  simdgroup_matrix<float, 8, 8> queries[kDimSteps];
  simdgroup_matrix<float, 8, 8> mixed[kDimSteps];
  for (int step = 0; step < kDimSteps; ++step) {
    for (int i = 0; i < 2; ++i) {
      const int dim = step * 8 + fragment_column + i;
      queries[step].thread_elements()[i] =
          row < num_rows ? p.scale * float(qkv[(first_row + row) * width + head * kHeadDim + dim])
                         : 0.0f;
      mixed[step].thread_elements()[i] = 0.0f;
    }
  }
  float best = kMinusInfinity;
  float total = 0.0f;

  const int end = first_position + num_rows;
  const int seen_from = p.window > 0 ? max(0, first_position - p.window + 1) : 0;
  for (int first_key = seen_from / kTileKeys * kTileKeys; first_key < end; first_key += kTileKeys) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int at = int(index); at < kTileKeys * kHeadDim; at += 256) {
      const int token = at / kHeadDim;
      const int dim = at % kHeadDim;
      // Zeros outside of what is seen: pages before the window may be gone.
      const bool is_there = first_key + token >= seen_from && first_key + token < end;
      const long from = is_there ? pool_row(p, table, first_key + token, kv_head) : 0;
      key_tile[token * kPitch + dim] =
          is_there ? Half(pool_value(keys, key_scales, from, dim)) : Half(0.0f);
      value_tile[token * kPitch + dim] =
          is_there ? Half(pool_value(values, value_scales, from, dim)) : Half(0.0f);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    simdgroup_matrix<float, 8, 8> scores[kKeySteps];
    float now = best;
    for (int tile = 0; tile < kKeySteps; ++tile) {
      scores[tile] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
      for (int step = 0; step < kDimSteps; ++step) {
        simdgroup_matrix<float, 8, 8> key;  // transposed: rows are dimensions
        for (int i = 0; i < 2; ++i) {
          const int token = tile * 8 + fragment_column + i;
          key.thread_elements()[i] = float(key_tile[token * kPitch + step * 8 + fragment_row]);
        }
        simdgroup_multiply_accumulate(scores[tile], queries[step], key, scores[tile]);
      }
      for (int i = 0; i < 2; ++i) {
        const int token = first_key + tile * 8 + fragment_column + i;
        const bool is_seen =
            token <= position && token < end && (p.window <= 0 || token > position - p.window);
        const float score =
            is_seen ? capped(scores[tile].thread_elements()[i], p.soft_cap) : kMinusInfinity;
        scores[tile].thread_elements()[i] = score;
        now = max(now, score);
      }
    }
    // The lanes with the same row differ in bits 0 and 3.
    now = max(now, simd_shuffle_xor(now, 1));
    now = max(now, simd_shuffle_xor(now, 8));
    const float rescale = fast::exp(best - now);
    float sum = 0.0f;
    for (int tile = 0; tile < kKeySteps; ++tile) {
      for (int i = 0; i < 2; ++i) {
        const float score = scores[tile].thread_elements()[i];
        // A row that has seen no key yet has no best score to compare with.
        const float weight = score <= kMinusInfinity ? 0.0f : fast::exp(score - now);
        scores[tile].thread_elements()[i] = weight;
        sum += weight;
      }
    }
    sum += simd_shuffle_xor(sum, 1);
    sum += simd_shuffle_xor(sum, 8);
    total = total * rescale + sum;
    best = now;
    for (int step = 0; step < kDimSteps; ++step) {
      mixed[step].thread_elements()[0] *= rescale;
      mixed[step].thread_elements()[1] *= rescale;
      for (int tile = 0; tile < kKeySteps; ++tile) {
        simdgroup_matrix<float, 8, 8> value;
        for (int i = 0; i < 2; ++i) {
          value.thread_elements()[i] =
              float(value_tile[(tile * 8 + fragment_row) * kPitch + step * 8 + fragment_column + i]
              );
        }
        simdgroup_multiply_accumulate(mixed[step], scores[tile], value, mixed[step]);
      }
    }
  }
  if (row >= num_rows) return;
  for (int step = 0; step < kDimSteps; ++step) {
    for (int i = 0; i < 2; ++i) {
      const int dim = step * 8 + fragment_column + i;
      out[(long(first_row + row) * p.num_heads + head) * kHeadDim + dim] =
          Half(mixed[step].thread_elements()[i] / total);
    }
  }
}
