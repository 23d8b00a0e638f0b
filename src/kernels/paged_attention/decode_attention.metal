// One row a sequence, its query rotated and its key stored already: the keys of each sequence are
// split over threadgroups, whose parts join_attention joins in a launch of its own (Metal orders no
// memory between threadgroups of one). All query heads of a kv head, at most MLXS_HEADS of them,
// share what is read of the pool. Threadgroup memory: 16 MLXS_HEADS (D + 2) bytes, at most 17 KB.
//
// Intensity: 4 H / Hkv operations for each value of 1 or 2 bytes, 4 to 16 a byte.
//
// grid: (splits, kv heads * chunks of query heads, items); threadgroup: 128 threads.
constant constexpr int kHeads = MLXS_HEADS;
constant constexpr int kDecodeSimdGroups = 4;
constant constexpr int kMinTokensPerSplit = 64;

struct TokenRange {
  int begin;
  int end;
  int num_active;  // splits with tokens
};

inline TokenRange split_range(const constant AttentionParams& p, int position, int split) {
  const int first = p.window > 0 ? max(0, position - p.window + 1) : 0;
  const int num_tokens = position + 1 - first;
  const int wanted = min((num_tokens + kMinTokensPerSplit - 1) / kMinTokensPerSplit, p.num_splits);
  const int share = (num_tokens + wanted - 1) / wanted;
  TokenRange range;
  range.begin = first + split * share;
  range.end = min(range.begin + share, position + 1);
  range.num_active = (num_tokens + share - 1) / share;
  return range;
}

kernel void decode_attention(
    const device Half* qkv [[buffer(0)]],  // [R, (H + 2 Hkv) D]
    const device PoolValue* keys [[buffer(1)]],
    const device PoolValue* values [[buffer(2)]],
    const device float* key_scales [[buffer(3)]],
    const device float* value_scales [[buffer(4)]],
    const device int* positions [[buffer(5)]],  // [R]; -1 where the row is padding
    const device int* page_tables [[buffer(6)]],
    const device int* items [[buffer(7)]],  // [items, 2] row, sequence
    device float* partials [[buffer(8)]],   // [items, H, num_splits, D + 2]
    device Half* out [[buffer(9)]],         // [R, H D]
    const constant AttentionParams& p [[buffer(10)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint index [[thread_index_in_threadgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]
) {
  threadgroup float bests[kDecodeSimdGroups][kHeads];
  threadgroup float totals[kDecodeSimdGroups][kHeads];
  threadgroup float mixtures[kDecodeSimdGroups][kHeads][kHeadDim];
  const int item = int(group.z);
  const int row = items[2 * item];
  const int position = positions[row];
  if (position < 0) return;
  const int split = int(group.x);
  const TokenRange range = split_range(p, position, split);
  if (split >= range.num_active) return;
  const int heads_of_group = p.num_heads / p.num_kv_heads;
  const int num_chunks = (heads_of_group + kHeads - 1) / kHeads;
  const int kv_head = int(group.y) / num_chunks;
  const int first_in_group = int(group.y) % num_chunks * kHeads;
  const int first_head = kv_head * heads_of_group + first_in_group;
  const int num_heads = min(kHeads, heads_of_group - first_in_group);
  const device int* table = page_tables + long(items[2 * item + 1]) * p.page_stride;
  const device Half* source = qkv + long(row) * (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;

  float queries[kHeads][kDimsPerLane];
  float mixed[kHeads][kDimsPerLane];
  float best[kHeads];
  float total[kHeads];
  for (int head = 0; head < kHeads; ++head) {
    best[head] = kMinusInfinity;
    total[head] = 0.0f;
    const int used = first_head + min(head, num_heads - 1);
    for (int i = 0; i < kDimsPerLane; ++i) {
      queries[head][i] = p.scale * float(source[used * kHeadDim + int(lane) + 32 * i]);
      mixed[head][i] = 0.0f;
    }
  }
  for (int token = range.begin + int(simd_group); token < range.end; token += kDecodeSimdGroups) {
    const long at = pool_row(p, table, token, kv_head);
    float key[kDimsPerLane];
    float value[kDimsPerLane];
    for (int i = 0; i < kDimsPerLane; ++i) {
      key[i] = pool_value(keys, key_scales, at, int(lane) + 32 * i);
      value[i] = pool_value(values, value_scales, at, int(lane) + 32 * i);
    }
    for (int head = 0; head < kHeads; ++head) {
      float score = 0.0f;
      for (int i = 0; i < kDimsPerLane; ++i) score += queries[head][i] * key[i];
      score = capped(simd_sum(score), p.soft_cap);
      const float now = max(best[head], score);
      const float rescale = fast::exp(best[head] - now);
      const float weight = fast::exp(score - now);
      best[head] = now;
      total[head] = total[head] * rescale + weight;
      for (int i = 0; i < kDimsPerLane; ++i)
        mixed[head][i] = mixed[head][i] * rescale + weight * value[i];
    }
  }
  for (int head = 0; head < kHeads; ++head) {
    if (lane == 0) {
      bests[simd_group][head] = best[head];
      totals[simd_group][head] = total[head];
    }
    for (int i = 0; i < kDimsPerLane; ++i)
      mixtures[simd_group][head][int(lane) + 32 * i] = mixed[head][i];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  for (int at = int(index); at < num_heads * kHeadDim; at += 32 * kDecodeSimdGroups) {
    const int head = at / kHeadDim;
    const int dim = at % kHeadDim;
    float joined_best = kMinusInfinity;
    for (int i = 0; i < kDecodeSimdGroups; ++i) joined_best = max(joined_best, bests[i][head]);
    float joined_total = 0.0f;
    float joined = 0.0f;
    for (int i = 0; i < kDecodeSimdGroups; ++i) {
      const float factor = fast::exp(bests[i][head] - joined_best);
      joined_total += totals[i][head] * factor;
      joined += mixtures[i][head][dim] * factor;
    }
    if (range.num_active == 1) {
      out[(long(row) * p.num_heads + first_head) * kHeadDim + at] = Half(joined / joined_total);
      continue;
    }
    device float* part =
        partials +
        ((long(item) * p.num_heads + first_head + head) * p.num_splits + split) * (kHeadDim + 2);
    part[dim] = joined;
    if (dim == 0) {
      part[kHeadDim] = joined_best;
      part[kHeadDim + 1] = joined_total;
    }
  }
}

// grid: (H, items); threadgroup: 32 threads.
kernel void join_attention(
    const device float* partials [[buffer(0)]],
    const device int* positions [[buffer(1)]],
    const device int* items [[buffer(2)]],
    device Half* out [[buffer(3)]],
    const constant AttentionParams& p [[buffer(4)]],
    uint3 group [[threadgroup_position_in_grid]],
    uint lane [[thread_index_in_simdgroup]]
) {
  const int item = int(group.y);
  const int row = items[2 * item];
  const int position = positions[row];
  if (position < 0) return;
  const int num_active = split_range(p, position, 0).num_active;
  if (num_active == 1) return;  // written already
  const device float* parts =
      partials + (long(item) * p.num_heads + group.x) * p.num_splits * (kHeadDim + 2);
  float best = kMinusInfinity;
  for (int split = 0; split < num_active; ++split)
    best = max(best, parts[split * (kHeadDim + 2) + kHeadDim]);
  float total = 0.0f;
  float mixed[kDimsPerLane];
  for (int i = 0; i < kDimsPerLane; ++i) mixed[i] = 0.0f;
  for (int split = 0; split < num_active; ++split) {
    const device float* part = parts + split * (kHeadDim + 2);
    const float factor = fast::exp(part[kHeadDim] - best);
    total += part[kHeadDim + 1] * factor;
    for (int i = 0; i < kDimsPerLane; ++i) mixed[i] += part[int(lane) + 32 * i] * factor;
  }
  for (int i = 0; i < kDimsPerLane; ++i)
    out[(long(row) * p.num_heads + group.x) * kHeadDim + int(lane) + 32 * i] =
        Half(mixed[i] / total);
}
