// One row a sequence: norms and rotates the row's heads, stores its key and value, and attends with
// the keys of each sequence split over blocks; the last block of a head to arrive joins the parts.
// All query heads of a kv head (at most MLXS_HEADS of them) share what is read of the pool.
//
// grid: (splits, kv heads * chunks of query heads, items); block: 128 threads.
namespace mlxs::cuda {

constexpr int kDecodeWarps = 4;
constexpr int kHeads = MLXS_HEADS;
constexpr int kLanesPerToken = kHeadDim <= 64 ? 8 : kHeadDim <= 128 ? 16 : 32;
constexpr int kTokensPerWarp = 32 / kLanesPerToken;
constexpr int kUnroll = 4;  // tokens of a lane whose loads are in flight together
constexpr int kMinTokensPerSplit = 64;

static_assert(kHeadDim % 8 == 0 && kHeadDim <= 256);

// What a lane has seen: its eight dimensions of each head's mixture, unnormalised.
struct Mixture {
  float best[kHeads];
  float total[kHeads];
  float values[kHeads][8];
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

__device__ __forceinline__ void attend_tokens(
    const AttentionParams& p,
    const int* table,
    int kv_head,
    TokenRange range,
    const float (&queries)[kHeads][8],
    Mixture& mixture
) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first_dim = lane % kLanesPerToken * 8;
  const bool has_dims = first_dim < kHeadDim;
  constexpr int kStride = kDecodeWarps * kTokensPerWarp;
  for (int base = range.begin; base < range.end; base += kStride * kUnroll) {
    long long rows[kUnroll];
    float keys[kUnroll][8];
    float values[kUnroll][8];
    bool is_inside[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      const int token = base + i * kStride + warp * kTokensPerWarp + lane / kLanesPerToken;
      is_inside[i] = token < range.end;
      rows[i] = is_inside[i] ? pool_row(p, table, token, kv_head) : 0;
    }
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
#pragma unroll
      for (int d = 0; d < 8; ++d) {
        keys[i][d] = 0.0F;
        values[i][d] = 0.0F;
      }
      if (is_inside[i] && has_dims) {
        load_pool8(p.keys, p.key_scales, rows[i], first_dim, keys[i]);
        load_pool8(p.values, p.value_scales, rows[i], first_dim, values[i]);
      }
    }
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
      float scores[kUnroll];
      float best = mixture.best[head];
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        float score = 0.0F;
#pragma unroll
        for (int d = 0; d < 8; ++d) score += queries[head][d] * keys[i][d];
#pragma unroll
        for (int distance = kLanesPerToken / 2; distance > 0; distance /= 2)
          score += __shfl_xor_sync(0xffffffffU, score, distance);
        scores[i] = is_inside[i] ? capped(score, p.soft_cap) : kMinusInfinity;
        best = fmaxf(best, scores[i]);
      }
      const float rescale = __expf(mixture.best[head] - best);
      float total = mixture.total[head] * rescale;
#pragma unroll
      for (int d = 0; d < 8; ++d) mixture.values[head][d] *= rescale;
#pragma unroll
      for (int i = 0; i < kUnroll; ++i) {
        const float weight = is_inside[i] ? __expf(scores[i] - best) : 0.0F;
        total += weight;
#pragma unroll
        for (int d = 0; d < 8; ++d) mixture.values[head][d] += weight * values[i][d];
      }
      mixture.best[head] = best;
      mixture.total[head] = total;
    }
  }
}

// Joins the lanes of a warp that hold the same dimensions.
__device__ __forceinline__ void join_lanes(Mixture& mixture) {
#pragma unroll
  for (int head = 0; head < kHeads; ++head) {
#pragma unroll
    for (int distance = kLanesPerToken; distance < 32; distance *= 2) {
      const float other_best = __shfl_xor_sync(0xffffffffU, mixture.best[head], distance);
      const float other_total = __shfl_xor_sync(0xffffffffU, mixture.total[head], distance);
      const float best = fmaxf(mixture.best[head], other_best);
      const float mine = __expf(mixture.best[head] - best);
      const float theirs = __expf(other_best - best);
      mixture.total[head] = mixture.total[head] * mine + other_total * theirs;
#pragma unroll
      for (int d = 0; d < 8; ++d) {
        const float other = __shfl_xor_sync(0xffffffffU, mixture.values[head][d], distance);
        mixture.values[head][d] = mixture.values[head][d] * mine + other * theirs;
      }
      mixture.best[head] = best;
    }
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
  if (lane * 8 < kHeadDim && lane < kLanesPerToken) {
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
      for (int d = 0; d < 8; ++d) result.values[warp][head][lane * 8 + d] = mixture.values[head][d];
    }
  }
  if (lane == 0) {
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
      result.best[warp][head] = mixture.best[head];
      result.total[warp][head] = mixture.total[head];
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

extern "C" __global__ void __launch_bounds__(128) decode_attention(mlxs::cuda::AttentionParams p) {
  using namespace mlxs::cuda;
  __shared__ float prepared[kHeads + 1][kHeadDim];
  __shared__ BlockResult result;
  __shared__ unsigned int num_arrived;

  const int item = static_cast<int>(blockIdx.z);
  const int row = p.items[2 * item];
  const int position = p.positions[row];
  if (position < 0) return;  // padding
  const int split = static_cast<int>(blockIdx.x);
  int num_active = 0;
  const TokenRange range = split_range(p, position, split, num_active);
  if (split >= num_active) return;

  const int group = p.num_heads / p.num_kv_heads;
  const int num_chunks = (group + kHeads - 1) / kHeads;
  const int kv_head = static_cast<int>(blockIdx.y) / num_chunks;
  const int first_in_group = static_cast<int>(blockIdx.y) % num_chunks * kHeads;
  const int first_head = kv_head * group + first_in_group;
  const int num_heads = group - first_in_group < kHeads ? group - first_in_group : kHeads;
  const int* table = p.page_tables + static_cast<long long>(p.items[2 * item + 1]) * *p.page_stride;
  const int width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;
  const Half* qkv = static_cast<const Half*>(p.qkv) + static_cast<long long>(row) * width;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;

  for (int head = warp; head < kHeads; head += kDecodeWarps) {
    const int used = head < num_heads ? first_head + head : first_head;
    prepare_head(p, qkv + used * kHeadDim, p.q_norm, row, prepared[head]);
  }
  if (split == num_active - 1 && warp == 0) {
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

  const int first_dim = lane % kLanesPerToken * 8;
  float queries[kHeads][8];
  Mixture mixture;
#pragma unroll
  for (int head = 0; head < kHeads; ++head) {
    mixture.best[head] = kMinusInfinity;
    mixture.total[head] = 0.0F;
#pragma unroll
    for (int d = 0; d < 8; ++d) {
      queries[head][d] = first_dim < kHeadDim ? prepared[head][first_dim + d] * p.scale : 0.0F;
      mixture.values[head][d] = 0.0F;
    }
  }
  attend_tokens(p, table, kv_head, range, queries, mixture);
  join_lanes(mixture);
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
