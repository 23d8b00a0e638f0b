// One row a sequence: norms and rotates the row's heads, stores its key and value, and attends with
// the keys of each sequence split over blocks; the last block of a head to arrive joins the parts.
// All query heads of a kv head (at most MLXS_HEADS of them) are the columns of one tensor-core
// tile, so what is read of the pool is read once for them: scores are keys times queries, mixtures
// are transposed values times weights.
//
// Keys and values go from the pool to registers in 16-byte loads, without shared memory: a product
// does not care for the order of the dimensions that it sums over, nor of the columns that it
// gives.
//
// grid: (splits, kv heads * chunks of query heads, items); block: 128 threads.
namespace mlxs::cuda {

constexpr int kDecodeWarps = 4;
constexpr int kHeads = MLXS_HEADS;
constexpr int kUnitTokens = 16;                    // of a warp at a time
constexpr int kKeyLoads = (kHeadDim + 31) / 32;    // of 32 dimensions by four lanes
constexpr int kValueLoads = (kHeadDim + 63) / 64;  // of 64 dimensions by eight lanes
constexpr int kMinTokensPerSplit = kDecodeWarps * kUnitTokens;

static_assert(kHeadDim % 8 == 0 && kHeadDim <= 256 && kHeads <= 8);

// What a warp has seen. A lane has the heads 2 (lane % 4) and the next, and of their mixtures,
// unnormalised, the dimensions 64 i + 8 (lane / 4) + j in sums[4 i + j][0] and [1], and those 4
// further in [2] and [3].
struct Mixture {
  float best[2];
  float total[2];  // of this lane's tokens
  float sums[4 * kValueLoads][4];
};

struct TokenRange {
  int begin;
  int end;
};

__device__ __forceinline__ TokenRange
split_range(const AttentionParams& p, int position, int split, int& num_active) {
  const int first = p.window > 0 && position - p.window + 1 > 0 ? position - p.window + 1 : 0;
  const int num_tokens = position + 1 - first;
  const int wanted = (num_tokens + kMinTokensPerSplit - 1) / kMinTokensPerSplit;
  num_active = wanted < p.num_splits ? wanted : p.num_splits;
  const int share = (num_tokens + num_active - 1) / num_active;
  const int begin = first + split * share;
  const int end = begin + share < position + 1 ? begin + share : position + 1;
  // Rounding up can leave the last splits without a token.
  num_active = (num_tokens + share - 1) / share;
  return {begin, end};
}

// Where a lane's token lies in the pool: base + lane % 16, or -1 past the end.
__device__ __forceinline__ int slot_of_lane(
    const AttentionParams& p, const int* table, int base, int end
) {
  const int token = base + static_cast<int>(threadIdx.x) % kUnitTokens;
  if (token >= end) return -1;
  return table[token / p.page_size] * p.page_size + token % p.page_size;
}

// Eight values of a row of the pool as halves; zeros for no row.
__device__ __forceinline__ Vec4 load_halves8(const void* pool, long long row, int first) {
  if (row < 0 || first >= kHeadDim) return Vec4{0, 0, 0, 0};
#if MLXS_KV_INT8
  const Vec2 packed = load8(static_cast<const signed char*>(pool) + row * kHeadDim + first);
  unsigned int pairs[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int word = (i < 2 ? packed.x : packed.y) >> (i % 2 * 16);
    pairs[i] = pack_halves(
        static_cast<float>(static_cast<signed char>(word & 0xffU)),
        static_cast<float>(static_cast<signed char>((word >> 8) & 0xffU))
    );
  }
  return Vec4{pairs[0], pairs[1], pairs[2], pairs[3]};
#else
  return load16(static_cast<const Half*>(pool) + row * kHeadDim + first);
#endif
}

__device__ __forceinline__ float scale_of_row(const float* scales, long long row) {
#if MLXS_KV_INT8
  return row < 0 ? 0.0F : scales[row];
#else
  return 1.0F;
#endif
}

// The right operand of the scores: head lane / 4, 32 dimensions a load, two products of 16 each.
struct Queries {
  unsigned int pairs[kKeyLoads][4];
};

__device__ __forceinline__ Queries load_queries(const float (*prepared)[kHeadDim]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  Queries queries;
#pragma unroll
  for (int load = 0; load < kKeyLoads; ++load) {
    const int dim = 32 * load + lane % 4 * 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      queries.pairs[load][i] =
          lane / 4 < kHeads && dim < kHeadDim
              ? pack_halves(prepared[lane / 4][dim + 2 * i], prepared[lane / 4][dim + 2 * i + 1])
              : 0;
    }
  }
  return queries;
}

// Scores of 16 tokens and two heads: of token lane / 4 in [0] and [1], and 8 further in [2] and
// [3]. rows: of these two tokens.
__device__ __forceinline__ void score_unit(
    const AttentionParams& p, const Queries& queries, const long long (&rows)[2], float (&scores)[4]
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  Vec4 keys[2][kKeyLoads];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int load = 0; load < kKeyLoads; ++load)
      keys[half][load] = load_halves8(p.keys, rows[half], 32 * load + lane % 4 * 8);
  }
  float more[4] = {};  // two sums wait less for each other than one
#pragma unroll
  for (int i = 0; i < 4; ++i) scores[i] = 0.0F;
#pragma unroll
  for (int load = 0; load < kKeyLoads; ++load) {
    const Vec4& upper = keys[0][load];
    const Vec4& lower = keys[1][load];
    const unsigned int first[4] = {upper.x, lower.x, upper.y, lower.y};
    const unsigned int second[4] = {upper.z, lower.z, upper.w, lower.w};
    multiply_tile(scores, first, queries.pairs[load][0], queries.pairs[load][1]);
    multiply_tile(more, second, queries.pairs[load][2], queries.pairs[load][3]);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) scores[i] += more[i];
}

// Scores to weights; rescales what was mixed before. The eight lanes of a head have one best score.
__device__ __forceinline__ void weigh_unit(
    const AttentionParams& p, const long long (&rows)[2], float (&scores)[4], Mixture& mixture
) {
  float best[2] = {mixture.best[0], mixture.best[1]};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    scores[i] = capped(scores[i] * p.scale * scale_of_row(p.key_scales, rows[i / 2]), p.soft_cap);
    if (rows[i / 2] < 0) scores[i] = kMinusInfinity;
    best[i % 2] = fmaxf(best[i % 2], scores[i]);
  }
#pragma unroll
  for (int head = 0; head < 2; ++head) {
#pragma unroll
    for (int distance = 4; distance < 32; distance *= 2)
      best[head] = fmaxf(best[head], __shfl_xor_sync(0xffffffffU, best[head], distance));
    const float rescale = __expf(mixture.best[head] - best[head]);
    mixture.best[head] = best[head];
    mixture.total[head] *= rescale;
#pragma unroll
    for (int i = 0; i < 4 * kValueLoads; ++i) {
      mixture.sums[i][head] *= rescale;
      mixture.sums[i][head + 2] *= rescale;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    scores[i] = rows[i / 2] < 0 ? 0.0F : __expf(scores[i] - best[i % 2]);
    mixture.total[i % 2] += scores[i];
    scores[i] *= scale_of_row(p.value_scales, rows[i / 2]);
  }
}

// Adds 16 tokens' values, weighted. rows: of the tokens 2 (lane % 4), the next, and those two 8
// further.
__device__ __forceinline__ void mix_unit(
    const AttentionParams& p,
    const long long (&rows)[4],
    const float (&weights)[4],
    Mixture& mixture
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const unsigned int upper = transpose_matrix(pack_halves(weights[0], weights[1]));
  const unsigned int lower = transpose_matrix(pack_halves(weights[2], weights[3]));
#pragma unroll
  for (int load = 0; load < kValueLoads; ++load) {
    Vec4 values[4];
#pragma unroll
    for (int token = 0; token < 4; ++token)
      values[token] = load_halves8(p.values, rows[token], 64 * load + lane / 4 * 8);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const unsigned int selector = j % 2 == 0 ? 0x5410U : 0x7632U;
      unsigned int left[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int word = j / 2 + i % 2 * 2;
        left[i] = permute_bytes(
            word_at(values[i / 2 * 2], word), word_at(values[i / 2 * 2 + 1], word), selector
        );
      }
      multiply_tile(mixture.sums[4 * load + j], left, upper, lower);
    }
  }
}

__device__ __forceinline__ long long row_of_slot(const AttentionParams& p, int slot, int kv_head) {
  return slot < 0 ? -1 : static_cast<long long>(slot) * p.num_kv_heads + kv_head;
}

// slot: of this lane's token of the warp's first unit.
__device__ __forceinline__ void attend_tokens(
    const AttentionParams& p,
    const int* table,
    int kv_head,
    TokenRange range,
    const Queries& queries,
    int slot,
    Mixture& mixture
) {
  constexpr unsigned int kAll = 0xffffffffU;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  constexpr int kStride = kDecodeWarps * kUnitTokens;
  for (int base = range.begin + warp * kUnitTokens; base < range.end; base += kStride) {
    const long long key_rows[2] = {
        row_of_slot(p, __shfl_sync(kAll, slot, lane / 4), kv_head),
        row_of_slot(p, __shfl_sync(kAll, slot, 8 + lane / 4), kv_head)
    };
    long long value_rows[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = i / 2 * 8 + lane % 4 * 2 + i % 2;
      value_rows[i] = row_of_slot(p, __shfl_sync(kAll, slot, token), kv_head);
    }
    slot = slot_of_lane(p, table, base + kStride, range.end);
    float scores[4];
    score_unit(p, queries, key_rows, scores);
    weigh_unit(p, key_rows, scores, mixture);
    mix_unit(p, value_rows, scores, mixture);
  }
}

struct BlockResult {
  float best[kDecodeWarps][kHeads];
  float total[kDecodeWarps][kHeads];
  float values[kDecodeWarps][kHeads][kHeadDim];
};

__device__ __forceinline__ void publish_warp(const Mixture& mixture, BlockResult& result) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int head = lane % 4 * 2 + i;
    float total = mixture.total[i];
#pragma unroll
    for (int distance = 4; distance < 32; distance *= 2)
      total += __shfl_xor_sync(0xffffffffU, total, distance);
    if (head >= kHeads) continue;
#pragma unroll
    for (int sum = 0; sum < 4 * kValueLoads; ++sum) {
      const int dim = 64 * (sum / 4) + lane / 4 * 8 + sum % 4;
      if (dim >= kHeadDim) continue;
      result.values[warp][head][dim] = mixture.sums[sum][i];
      result.values[warp][head][dim + 4] = mixture.sums[sum][i + 2];
    }
    if (lane / 4 == 0) {
      result.best[warp][head] = mixture.best[i];
      result.total[warp][head] = total;
    }
  }
}

// The warps' mixture of one dimension of one head.
struct Joined {
  float best;
  float total;
  float value;
};

__device__ __forceinline__ Joined join_warps(const BlockResult& result, int head, int dim) {
  Joined joined{kMinusInfinity, 0.0F, 0.0F};
  for (int warp = 0; warp < kDecodeWarps; ++warp)
    joined.best = fmaxf(joined.best, result.best[warp][head]);
  for (int warp = 0; warp < kDecodeWarps; ++warp) {
    const float factor = __expf(result.best[warp][head] - joined.best);
    joined.total += result.total[warp][head] * factor;
    joined.value += result.values[warp][head][dim] * factor;
  }
  return joined;
}

// The parts of all splits of one dimension of one head; parts [num_splits, D + 2].
__device__ __forceinline__ float join_splits(const float* parts, int num_active, int dim) {
  float best = kMinusInfinity;
  for (int split = 0; split < num_active; ++split)
    best = fmaxf(best, parts[split * (kHeadDim + 2) + kHeadDim]);
  float total = 0.0F;
  float value = 0.0F;
  for (int split = 0; split < num_active; ++split) {
    const float* part = parts + split * (kHeadDim + 2);
    const float factor = __expf(part[kHeadDim] - best);
    total += part[kHeadDim + 1] * factor;
    value += part[dim] * factor;
  }
  return value / total;
}

}  // namespace mlxs::cuda

extern "C" __global__ void __launch_bounds__(128, MLXS_HEAD_DIM <= 128 ? 3 : 2)
    decode_attention(mlxs::cuda::AttentionParams p) {
  using namespace mlxs::cuda;
  __shared__ float prepared[kHeads + 1][kHeadDim];
  __shared__ BlockResult result;
  __shared__ unsigned int num_arrived;

  // The step's integers were there before its first kernel.
  let_next_start();
  const int item = static_cast<int>(blockIdx.z);
  const int row = p.items[2 * item];
  const int position = p.positions[row];
  const int split = static_cast<int>(blockIdx.x);
  int num_active = 0;
  const TokenRange range = split_range(p, position < 0 ? 0 : position, split, num_active);
  const int* table = p.page_tables + static_cast<long long>(p.items[2 * item + 1]) * *p.page_stride;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bool has_work = position >= 0 && split < num_active;  // otherwise padding
  const int first_slot =
      has_work ? slot_of_lane(p, table, range.begin + warp * kUnitTokens, range.end) : -1;
  await_previous();
  if (!has_work) return;

  const int group = p.num_heads / p.num_kv_heads;
  const int num_chunks = (group + kHeads - 1) / kHeads;
  const int kv_head = static_cast<int>(blockIdx.y) / num_chunks;
  const int first_in_group = static_cast<int>(blockIdx.y) % num_chunks * kHeads;
  const int first_head = kv_head * group + first_in_group;
  const int num_heads = group - first_in_group < kHeads ? group - first_in_group : kHeads;
  const int width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;
  const Half* qkv = static_cast<const Half*>(p.qkv) + static_cast<long long>(row) * width;

  for (int head = warp; head < kHeads; head += kDecodeWarps) {
    const int used = head < num_heads ? first_head + head : first_head;
    prepare_head(p, qkv + used * kHeadDim, p.q_norm, row, prepared[head]);
  }
  if (split == num_active - 1 && warp == kDecodeWarps - 1) {
    const long long target = pool_row(p, table, position, kv_head);
    const Half* key = qkv + (p.num_heads + kv_head) * kHeadDim;
    const Half* value = qkv + (p.num_heads + p.num_kv_heads + kv_head) * kHeadDim;
    prepare_head(p, key, p.k_norm, row, prepared[kHeads]);
    store_head(p.keys, p.key_scales, target, prepared[kHeads]);
    __syncwarp();
    for (int i = lane; i < kHeadDim; i += 32) prepared[kHeads][i] = to_float(value[i]);
    __syncwarp();
    store_head(p.values, p.value_scales, target, prepared[kHeads]);
  }
  __syncthreads();

  Mixture mixture;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    mixture.best[i] = kMinusInfinity;
    mixture.total[i] = 0.0F;
  }
#pragma unroll
  for (int i = 0; i < 4 * kValueLoads * 4; ++i) mixture.sums[i / 4][i % 4] = 0.0F;
  attend_tokens(p, table, kv_head, range, load_queries(prepared), first_slot, mixture);
  publish_warp(mixture, result);
  __syncthreads();

  Half* out = static_cast<Half*>(p.out) +
              (static_cast<long long>(row) * p.num_heads + first_head) * kHeadDim;
  float* parts = p.partials + (static_cast<long long>(item) * p.num_heads + first_head) *
                                  p.num_splits * (kHeadDim + 2);
  for (int at = static_cast<int>(threadIdx.x); at < num_heads * kHeadDim; at += 32 * kDecodeWarps) {
    const int head = at / kHeadDim;
    const int dim = at % kHeadDim;
    const Joined joined = join_warps(result, head, dim);
    if (num_active == 1) {
      out[at] = to_half(joined.value / joined.total);
      continue;
    }
    float* part = parts + (static_cast<long long>(head) * p.num_splits + split) * (kHeadDim + 2);
    part[dim] = joined.value;
    if (dim == 0) {
      part[kHeadDim] = joined.best;
      part[kHeadDim + 1] = joined.total;
    }
  }
  if (num_active == 1) return;

  __threadfence();
  __syncthreads();
  unsigned int* arrivals = p.arrivals + item * static_cast<int>(gridDim.y) + blockIdx.y;
  if (threadIdx.x == 0) num_arrived = atomicAdd(arrivals, 1U);
  __syncthreads();
  if (num_arrived != static_cast<unsigned int>(num_active - 1)) return;
  __threadfence();
  for (int at = static_cast<int>(threadIdx.x); at < num_heads * kHeadDim; at += 32 * kDecodeWarps) {
    const float* head_parts =
        parts + static_cast<long long>(at / kHeadDim) * p.num_splits * (kHeadDim + 2);
    out[at] = to_half(join_splits(head_parts, num_active, at % kHeadDim));
  }
  if (threadIdx.x == 0) *arrivals = 0;
}
