// Products for few rows: every warp streams its share of the weights' columns once and multiplies
// on the tensor cores with the weights as the left operand, whatever the number of rows. The sum of
// a row is in the same order for every batch size.
namespace mlxs::cuda {

constexpr int kLinearWarps = 8;
constexpr bool kIsDense = MLXS_WEIGHT_BITS == 16;

// Chunks of a warp whose loads are in flight, and blocks of a processor: with each other they bound
// the registers. Found by measuring the shapes of an 8B model on an H100.
template <Finish kFinish>
constexpr int kDepth = kFinish == Finish::gated      ? (kIsDense ? 2 : 1)
                       : kFinish == Finish::residual ? 4
                                                     : (kIsDense ? 4 : 2);
template <Finish kFinish>
constexpr int kBlocks = kFinish == Finish::gated      ? (kIsDense ? 1 : 3)
                        : kFinish == Finish::residual ? 2
                                                      : 3;

// Where a lane's two rows of each tile of weights begin, its columns' offset included; null for
// rows past the end. Scales by number, from the matrix's first.
template <int kTiles>
struct WeightRows {
  const char* weight[kTiles][2];
  int scale[kTiles][2];
};

template <int kTiles>
__device__ __forceinline__ WeightRows<kTiles> find_rows(
    const LinearParams& p, const int (&first_output)[kTiles]
) {
  WeightRows<kTiles> rows;
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) {
    const int output = first_output[i / 2] + lane / 4 + 8 * (i % 2);
    const long long at = static_cast<long long>(output) * p.num_columns;
    rows.weight[i / 2][i % 2] = output < p.num_outputs
                                    ? static_cast<const char*>(p.weight) + at * MLXS_WEIGHT_BITS / 8
                                    : nullptr;
    rows.scale[i / 2][i % 2] = output * (p.num_columns / MLXS_GROUP_SIZE);
  }
  return rows;
}

// The 16 bytes of weights of a lane's rows, and their scales.
template <int kTiles>
struct LoadedChunk {
  Vec4 weight[kTiles][2];
  unsigned int scale[kTiles][2];
  unsigned int bias[kTiles][2];
};

template <int kTiles>
__device__ __forceinline__ LoadedChunk<kTiles> load_chunk(
    const LinearParams& p, const WeightRows<kTiles>& rows, int column
) {
  LoadedChunk<kTiles> chunk;
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) {
    const char* row = rows.weight[i / 2][i % 2];
    const bool is_inside = row != nullptr && column < p.num_columns;
    chunk.weight[i / 2][i % 2] =
        is_inside ? load_streamed(row + column * MLXS_WEIGHT_BITS / 8) : Vec4{0, 0, 0, 0};
    chunk.scale[i / 2][i % 2] = 0;
    chunk.bias[i / 2][i % 2] = 0;
#if MLXS_WEIGHT_BITS != 16
    if (is_inside) {
      const int at = rows.scale[i / 2][i % 2] + column / MLXS_GROUP_SIZE;
      chunk.scale[i / 2][i % 2] = static_cast<const Half*>(p.scales)[at];
      chunk.bias[i / 2][i % 2] = static_cast<const Half*>(p.biases)[at];
    }
#endif
  }
  return chunk;
}

// x: this lane's row, or null past the end.
template <int kTiles>
__device__ __forceinline__ void multiply_chunk(
    const LoadedChunk<kTiles>& chunk, const Half* x, Sums<kTiles, 1>& sums
) {
  unsigned int scale[2 * kTiles];
  unsigned int bias[2 * kTiles];
#pragma unroll
  for (int i = 0; i < 2 * kTiles; ++i) {
    scale[i] = repeat_half(static_cast<Half>(chunk.scale[i / 2][i % 2]));
    bias[i] = repeat_half(static_cast<Half>(chunk.bias[i / 2][i % 2]));
  }
  Vec4 values[kColumnsPerThread / 8];
#pragma unroll
  for (int part = 0; part < kColumnsPerThread / 8; ++part)
    values[part] = x != nullptr ? load16(x + 8 * part) : Vec4{0, 0, 0, 0};
#pragma unroll
  for (int part = 0; part < kColumnsPerThread / 8; ++part) {
    unsigned int left[kTiles][2][4];
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      const Expanded row = expand(chunk.weight[i / 2][i % 2], part, scale[i], bias[i]);
#pragma unroll
      for (int step = 0; step < 2; ++step) {
        left[i / 2][step][i % 2] = row.pair[2 * step];
        left[i / 2][step][i % 2 + 2] = row.pair[2 * step + 1];
      }
    }
    const Expanded right = ordered_x(values[part]);
#pragma unroll
    for (int step = 0; step < 2; ++step) {
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        multiply_tile(
            sums.of[tile][0], left[tile][step], right.pair[2 * step], right.pair[2 * step + 1]
        );
      }
    }
  }
}

// Adds the warps' sums up in the first warp, always in the same order.
template <int kTiles, int kRowTiles>
__device__ __forceinline__ void add_warps(Sums<kTiles, kRowTiles>& sums) {
  __shared__ float parts[kLinearWarps / 2][kTiles * kRowTiles * 4][32];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float* flat = &sums.of[0][0][0];
#pragma unroll
  for (int count = kLinearWarps / 2; count > 0; count /= 2) {
    if (warp >= count && warp < 2 * count) {
#pragma unroll
      for (int i = 0; i < kTiles * kRowTiles * 4; ++i) parts[warp - count][i][lane] = flat[i];
    }
    __syncthreads();
    if (warp < count) {
#pragma unroll
      for (int i = 0; i < kTiles * kRowTiles * 4; ++i) flat[i] += parts[warp][i][lane];
    }
    __syncthreads();
  }
}

// grid: (tiles of outputs, tiles of rows); block: kLinearWarps warps.
template <int kTiles, Finish kFinish>
__device__ __forceinline__ void linear(const LinearParams& p) {
  constexpr int kInFlight = kDepth<kFinish>;
  constexpr int kStride = kLinearWarps * kColumnsPerChunk;
  let_next_start();
  const int first_row = static_cast<int>(blockIdx.y) * 8;
  const int block = static_cast<int>(blockIdx.x);
  int first_output[kTiles];
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
    first_output[tile] =
        kFinish == Finish::gated ? 16 * block + tile * p.gate_offset : 16 * (block * kTiles + tile);
  }
  Sums<kTiles, 1> sums;
#pragma unroll
  for (int i = 0; i < kTiles * 4; ++i) (&sums.of[0][0][0])[i] = 0.0F;

  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int offset = lane % 4 * kColumnsPerThread;
  const int begin = warp * kColumnsPerChunk;
  const WeightRows<kTiles> rows = find_rows<kTiles>(p, first_output);
  LoadedChunk<kTiles> chunks[kInFlight];
#pragma unroll
  for (int i = 0; i < kInFlight; ++i)
    chunks[i] = load_chunk<kTiles>(p, rows, begin + i * kStride + offset);
  await_previous();  // the weights do not depend on it
  const int row = first_row + lane / 4;
  const Half* x = static_cast<const Half*>(p.x) + static_cast<long long>(row) * p.num_columns;
  for (int base = begin; base < p.num_columns; base += kInFlight * kStride) {
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      const int first = base + i * kStride;
      if (first >= p.num_columns) break;
      const int column = first + offset;
      const bool is_inside = row < p.num_rows && column < p.num_columns;
      multiply_chunk<kTiles>(chunks[i], is_inside ? x + column : nullptr, sums);
      chunks[i] = load_chunk<kTiles>(p, rows, column + kInFlight * kStride);
    }
  }
  add_warps<kTiles, 1>(sums);
  if (warp == 0) finish<kTiles, 1, kFinish>(p, first_output, first_row, sums);
}

}  // namespace mlxs::cuda

#define MLXS_LINEAR(NAME, FINISH, TILES)                                  \
  extern "C" __global__ void                                              \
  __launch_bounds__(256, mlxs::cuda::kBlocks<mlxs::cuda::Finish::FINISH>) \
      linear_##NAME(mlxs::cuda::LinearParams p) {                         \
    mlxs::cuda::linear<TILES, mlxs::cuda::Finish::FINISH>(p);             \
  }

// Of up to eight rows.
MLXS_LINEAR(store, store, 1)
MLXS_LINEAR(residual, residual, 1)
MLXS_LINEAR(float, store_float, 1)
MLXS_LINEAR(gated, gated, 2)

#if MLXS_WEIGHT_BITS != 16
// block of 256 threads; each thread expands the words it comes to, 32 / bits weights each.
extern "C" __global__ void __launch_bounds__(256) dequantize(mlxs::cuda::DequantizeParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  await_previous();
  constexpr int kPerWord = 32 / MLXS_WEIGHT_BITS;
  const long long stride = static_cast<long long>(gridDim.x) * 256;
  for (long long at = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x; at < p.num_words;
       at += stride) {
    const unsigned int word = static_cast<const unsigned int*>(p.weight)[at];
    const long long group = at * kPerWord / MLXS_GROUP_SIZE;
    const float scale = to_float(static_cast<const Half*>(p.scales)[group]);
    const float bias = to_float(static_cast<const Half*>(p.biases)[group]);
    unsigned int pairs[kPerWord / 2];
#pragma unroll
    for (int i = 0; i < kPerWord / 2; ++i) {
      const unsigned int two = word >> (2 * MLXS_WEIGHT_BITS * i);
      constexpr unsigned int kMask = (1U << MLXS_WEIGHT_BITS) - 1;
      pairs[i] = pack_halves(
          scale * static_cast<float>(two & kMask) + bias,
          scale * static_cast<float>((two >> MLXS_WEIGHT_BITS) & kMask) + bias
      );
    }
#if MLXS_WEIGHT_BITS == 4
    static_cast<Vec4*>(p.out)[at] = Vec4{pairs[0], pairs[1], pairs[2], pairs[3]};
#else
    static_cast<Vec2*>(p.out)[at] = Vec2{pairs[0], pairs[1]};
#endif
  }
}
#endif
