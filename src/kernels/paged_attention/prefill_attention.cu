// Chunks of prompts over the pool: a block takes up to 64 rows of one sequence and one query head,
// four warps of 16 rows, and walks the keys in tiles on the tensor cores with an online softmax.
//
// grid: (tiles, H); block: 128 threads. Queries are rotated, keys and values stored already.
namespace mlxs::cuda {

constexpr int kTileKeys = kHeadDim <= 128 ? 64 : 32;
constexpr int kPitch = kHeadDim + 8;  // halves; the padding keeps a fragment's banks apart
constexpr int kDimSteps = (kHeadDim + 15) / 16;
constexpr int kKeySteps = kTileKeys / 16;

static_assert(kHeadDim % 16 == 0);

struct alignas(16) TileBuffer {
  Half keys[kTileKeys][kPitch];
  Half values[kTileKeys][kPitch];
};

struct PrefillTile {
  int first_row;  // in the batch
  int num_rows;
  int sequence;
  int first_position;  // of the first row
};

// The keys and values of positions [first, first + kTileKeys); zeros outside of [begin, end): pages
// before the window may be gone.
__device__ __forceinline__ void load_tile(
    const AttentionParams& p,
    const int* table,
    int kv_head,
    int first,
    int begin,
    int end,
    TileBuffer& buffer
) {
  constexpr int kParts = kHeadDim / 8;
  for (int at = static_cast<int>(threadIdx.x); at < kTileKeys * kParts; at += 128) {
    const int token = at / kParts;
    const int dim = at % kParts * 8;
    const bool is_inside = first + token >= begin && first + token < end;
    const long long row = is_inside ? pool_row(p, table, first + token, kv_head) : 0;
#if MLXS_KV_INT8
    float key[8] = {};
    float value[8] = {};
    if (is_inside) {
      load_pool8(p.keys, p.key_scales, row, dim, key);
      load_pool8(p.values, p.value_scales, row, dim, value);
    }
    unsigned int* key_target = reinterpret_cast<unsigned int*>(&buffer.keys[token][dim]);
    unsigned int* value_target = reinterpret_cast<unsigned int*>(&buffer.values[token][dim]);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      key_target[i] = pack_halves(key[2 * i], key[2 * i + 1]);
      value_target[i] = pack_halves(value[2 * i], value[2 * i + 1]);
    }
#else
    const long long offset = row * kHeadDim + dim;
    start_copy(&buffer.keys[token][dim], static_cast<const Half*>(p.keys) + offset, is_inside);
    start_copy(&buffer.values[token][dim], static_cast<const Half*>(p.values) + offset, is_inside);
#endif
  }
  close_copies();
}

// The state of the two rows of a lane's fragments.
struct SoftmaxRows {
  float best[2];
  float total[2];
};

// Scores to weights; rescales what was summed before.
__device__ __forceinline__ void update_softmax(
    float (&scores)[2 * kKeySteps][4], float (&mixed)[2 * kDimSteps][4], SoftmaxRows& rows
) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float best = rows.best[half];
#pragma unroll
    for (int tile = 0; tile < 2 * kKeySteps; ++tile)
      best = fmaxf(best, fmaxf(scores[tile][2 * half], scores[tile][2 * half + 1]));
    best = fmaxf(best, __shfl_xor_sync(0xffffffffU, best, 1));
    best = fmaxf(best, __shfl_xor_sync(0xffffffffU, best, 2));
    const float rescale = __expf(rows.best[half] - best);
    float total = 0.0F;
#pragma unroll
    for (int tile = 0; tile < 2 * kKeySteps; ++tile) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) {
        // A row that has seen no key yet has no best score to compare with.
        scores[tile][i] = scores[tile][i] <= kMinusInfinity ? 0.0F : __expf(scores[tile][i] - best);
        total += scores[tile][i];
      }
    }
    total += __shfl_xor_sync(0xffffffffU, total, 1);
    total += __shfl_xor_sync(0xffffffffU, total, 2);
    rows.total[half] = rows.total[half] * rescale + total;
    rows.best[half] = best;
#pragma unroll
    for (int tile = 0; tile < 2 * kDimSteps; ++tile) {
      mixed[tile][2 * half] *= rescale;
      mixed[tile][2 * half + 1] *= rescale;
    }
  }
}

__device__ __forceinline__ void load_queries(
    const AttentionParams& p,
    const PrefillTile& tile,
    int head,
    unsigned int (&queries)[kDimSteps][4]
) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int width = (p.num_heads + 2 * p.num_kv_heads) * kHeadDim;
#pragma unroll
  for (int step = 0; step < kDimSteps; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = warp * 16 + lane / 4 + i % 2 * 8;
      const int dim = step * 16 + lane % 4 * 2 + i / 2 * 8;
      queries[step][i] = 0;
      if (row >= tile.num_rows) continue;
      const long long at =
          static_cast<long long>(tile.first_row + row) * width + head * kHeadDim + dim;
      queries[step][i] =
          *reinterpret_cast<const unsigned int*>(static_cast<const Half*>(p.qkv) + at);
    }
  }
}

__device__ __forceinline__ void score_tile(
    const AttentionParams& p,
    const unsigned int (&queries)[kDimSteps][4],
    const TileBuffer& buffer,
    int first_position,
    int first_key,
    float (&scores)[2 * kKeySteps][4]
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int tile = 0; tile < 2 * kKeySteps; ++tile) {
#pragma unroll
    for (int i = 0; i < 4; ++i) scores[tile][i] = 0.0F;
#pragma unroll
    for (int step = 0; step < kDimSteps; step += 2) {
      // Beyond the last dimensions the first ones are read, and not used.
      const int dim = step * 16 + lane / 8 * 8;
      unsigned int part[4];
      load_matrices(part, &buffer.keys[tile * 8 + lane % 8][dim < kHeadDim ? dim : 0]);
      multiply_tile(scores[tile], queries[step], part[0], part[1]);
      if (step + 1 < kDimSteps) multiply_tile(scores[tile], queries[step + 1], part[2], part[3]);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int position = first_position + lane / 4 + i / 2 * 8;
      const int key = first_key + tile * 8 + lane % 4 * 2 + i % 2;
      const bool is_seen = key <= position && (p.window <= 0 || key > position - p.window);
      scores[tile][i] = is_seen ? capped(scores[tile][i] * p.scale, p.soft_cap) : kMinusInfinity;
    }
  }
}

__device__ __forceinline__ void attend_tile(
    const AttentionParams& p,
    const unsigned int (&queries)[kDimSteps][4],
    const TileBuffer& buffer,
    int first_position,
    int first_key,
    float (&mixed)[2 * kDimSteps][4],
    SoftmaxRows& rows
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float scores[2 * kKeySteps][4];
  score_tile(p, queries, buffer, first_position, first_key, scores);
  update_softmax(scores, mixed, rows);
#pragma unroll
  for (int step = 0; step < kKeySteps; ++step) {
    const unsigned int weights[4] = {
        pack_halves(scores[2 * step][0], scores[2 * step][1]),
        pack_halves(scores[2 * step][2], scores[2 * step][3]),
        pack_halves(scores[2 * step + 1][0], scores[2 * step + 1][1]),
        pack_halves(scores[2 * step + 1][2], scores[2 * step + 1][3])
    };
    const Half* row = buffer.values[step * 16 + lane / 8 % 2 * 8 + lane % 8];
#pragma unroll
    for (int out = 0; out < 2 * kDimSteps; out += 2) {
      unsigned int part[4];
      load_transposed(part, row + out * 8 + lane / 16 * 8);
      multiply_tile(mixed[out], weights, part[0], part[1]);
      multiply_tile(mixed[out + 1], weights, part[2], part[3]);
    }
  }
}

}  // namespace mlxs::cuda

extern "C" __global__ void __launch_bounds__(128, MLXS_HEAD_DIM <= 128 ? 3 : 1)
    prefill_attention(mlxs::cuda::AttentionParams p) {
  using namespace mlxs::cuda;
  __shared__ TileBuffer buffer;
  let_next_start();
  await_previous();
  const int* item = p.items + 4 * blockIdx.x;
  const PrefillTile tile{item[0], item[1], item[2], item[3]};
  const int head = static_cast<int>(blockIdx.y);
  const int kv_head = head / (p.num_heads / p.num_kv_heads);
  const int* table = p.page_tables + static_cast<long long>(tile.sequence) * *p.page_stride;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;

  const int end = tile.first_position + tile.num_rows;
  const int seen_from = p.window > 0 ? tile.first_position - p.window + 1 : 0;
  const int begin = seen_from > 0 ? seen_from / kTileKeys * kTileKeys : 0;
  unsigned int queries[kDimSteps][4];
  load_queries(p, tile, head, queries);
  float mixed[2 * kDimSteps][4];
#pragma unroll
  for (int i = 0; i < 2 * kDimSteps * 4; ++i) mixed[i / 4][i % 4] = 0.0F;
  SoftmaxRows rows{{kMinusInfinity, kMinusInfinity}, {0.0F, 0.0F}};

  for (int first_key = begin; first_key < end; first_key += kTileKeys) {
    __syncthreads();
    load_tile(p, table, kv_head, first_key, seen_from, end, buffer);
    await_copies<0>();
    __syncthreads();
    // Of the last tiles some lie past all rows of a warp.
    const int first_position = tile.first_position + warp * 16;
    if (first_key <= first_position + 15)
      attend_tile(p, queries, buffer, first_position, first_key, mixed, rows);
  }
#pragma unroll
  for (int out = 0; out < 2 * kDimSteps; ++out) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp * 16 + lane / 4 + 8 * half;
      if (row >= tile.num_rows) continue;
      const float inverse = 1.0F / rows.total[half];
      const long long at =
          (static_cast<long long>(tile.first_row + row) * p.num_heads + head) * kHeadDim + out * 8 +
          lane % 4 * 2;
      *reinterpret_cast<unsigned int*>(static_cast<Half*>(p.out) + at) =
          pack_halves(mixed[out][2 * half] * inverse, mixed[out][2 * half + 1] * inverse);
    }
  }
}
