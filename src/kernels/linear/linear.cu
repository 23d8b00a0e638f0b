// Products for few rows: every warp streams its share of the weights' columns once and multiplies
// on the tensor cores with the weights as the left operand, whatever the number of rows. The sum of
// a row is in the same order for every batch size. MLXS_WEIGHT_BITS is 16 (half), 4 or 8,
// MLXS_GROUP_SIZE the quantization's.
//
// A product does not care for the order of its columns, so a thread takes columns that lie
// together: 16 bytes of weights, and the same columns of x, without any exchange.
namespace mlxs::cuda {

enum class Finish { store, residual, gated, store_float };

constexpr int kLinearWarps = 8;
constexpr int kColumnsPerThread = 128 / MLXS_WEIGHT_BITS;  // of 16 bytes of weights
constexpr int kColumnsPerChunk = 4 * kColumnsPerThread;    // of a warp

// Four registers with the eight weights `part` of the 16 bytes, two for each product of 16 columns.
struct Expanded {
  unsigned int pair[4];
};

__device__ __forceinline__ unsigned int word_of(const Vec4& v, int index) {
  return index == 0 ? v.x : index == 1 ? v.y : index == 2 ? v.z : v.w;
}

#if MLXS_WEIGHT_BITS == 4
#if MLXS_HALF == 0
constexpr unsigned int kMagic =
    0x43004300U;  // 128; the last bits of the mantissa are whole numbers
constexpr unsigned int kMinusMagic = 0xC300C300U;
constexpr unsigned int kOnes = 0x3F803F80U;
#else
constexpr unsigned int kMagic = 0x64006400U;  // 1024
constexpr unsigned int kMinusMagic = 0xE400E400U;
constexpr unsigned int kOnes = 0x3C003C00U;
#endif
#endif

// In the order in which ordered_x() has the columns.
__device__ __forceinline__ Expanded
expand(const Vec4& packed, int part, unsigned int scale, unsigned int bias) {
  Expanded result;
#if MLXS_WEIGHT_BITS == 16
  result.pair[0] = packed.x;
  result.pair[1] = packed.y;
  result.pair[2] = packed.z;
  result.pair[3] = packed.w;
#elif MLXS_WEIGHT_BITS == 4
  const unsigned int word = word_of(packed, part);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int shifted = ((word >> (4 * i)) & 0x000F000FU) | kMagic;
    result.pair[i] = fma_halves(fma_halves(shifted, kOnes, kMinusMagic), scale, bias);
  }
#else
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int word = word_of(packed, 2 * part + i / 2) >> (i % 2 * 16);
    const unsigned int whole =
        pack_halves(static_cast<float>(word & 0xffU), static_cast<float>((word >> 8) & 0xffU));
    result.pair[i] = fma_halves(whole, scale, bias);
  }
#endif
  return result;
}

__device__ __forceinline__ Expanded ordered_x(const Vec4& x) {
  Expanded result;
#if MLXS_WEIGHT_BITS == 4
  result.pair[0] = permute_bytes(x.x, x.z, 0x5410U);  // columns 0 and 4
  result.pair[1] = permute_bytes(x.x, x.z, 0x7632U);  // 1 and 5
  result.pair[2] = permute_bytes(x.y, x.w, 0x5410U);  // 2 and 6
  result.pair[3] = permute_bytes(x.y, x.w, 0x7632U);  // 3 and 7
#else
  result.pair[0] = x.x;
  result.pair[1] = x.y;
  result.pair[2] = x.z;
  result.pair[3] = x.w;
#endif
  return result;
}

template <int kTiles, int kRowTiles>
struct Sums {
  float of[kTiles][kRowTiles][4];
};

// The 16 bytes of weights of two rows of a tile, and their scales.
template <int kTiles>
struct LoadedChunk {
  Vec4 weight[kTiles][2];
  unsigned int scale[kTiles][2];
  unsigned int bias[kTiles][2];
};

template <int kTiles>
__device__ __forceinline__ LoadedChunk<kTiles> load_chunk(
    const LinearParams& p, const int (&first_output)[kTiles], int column
) {
  LoadedChunk<kTiles> chunk;
  const int group = static_cast<int>(threadIdx.x) % 32 / 4;
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int output = first_output[tile] + group + 8 * half;
      const bool is_inside = output < p.num_outputs && column < p.num_columns;
      const long long at = static_cast<long long>(output) * p.num_columns + column;
      chunk.weight[tile][half] =
          is_inside ? load_streamed(static_cast<const char*>(p.weight) + at * MLXS_WEIGHT_BITS / 8)
                    : Vec4{0, 0, 0, 0};
      chunk.scale[tile][half] = 0;
      chunk.bias[tile][half] = 0;
#if MLXS_WEIGHT_BITS != 16
      if (is_inside) {
        const long long index = at / MLXS_GROUP_SIZE;
        chunk.scale[tile][half] = repeat_half(static_cast<const Half*>(p.scales)[index]);
        chunk.bias[tile][half] = repeat_half(static_cast<const Half*>(p.biases)[index]);
      }
#endif
    }
  }
  return chunk;
}

template <int kTiles, int kRowTiles>
__device__ __forceinline__ void multiply_chunk(
    const LinearParams& p,
    const LoadedChunk<kTiles>& chunk,
    int first_row,
    int column,
    Sums<kTiles, kRowTiles>& sums
) {
  const int group = static_cast<int>(threadIdx.x) % 32 / 4;
#pragma unroll
  for (int part = 0; part < kColumnsPerThread / 8; ++part) {
    unsigned int left[kTiles][2][4];
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const Expanded upper =
          expand(chunk.weight[tile][0], part, chunk.scale[tile][0], chunk.bias[tile][0]);
      const Expanded lower =
          expand(chunk.weight[tile][1], part, chunk.scale[tile][1], chunk.bias[tile][1]);
#pragma unroll
      for (int step = 0; step < 2; ++step) {
        left[tile][step][0] = upper.pair[2 * step];
        left[tile][step][1] = lower.pair[2 * step];
        left[tile][step][2] = upper.pair[2 * step + 1];
        left[tile][step][3] = lower.pair[2 * step + 1];
      }
    }
#pragma unroll
    for (int row_tile = 0; row_tile < kRowTiles; ++row_tile) {
      const int row = first_row + 8 * row_tile + group;
      Vec4 values{0, 0, 0, 0};
      if (row < p.num_rows && column < p.num_columns) {
        const long long at = static_cast<long long>(row) * p.num_columns + column + 8 * part;
        values = load_constant(static_cast<const Half*>(p.x) + at);
      }
      const Expanded right = ordered_x(values);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
        for (int step = 0; step < 2; ++step) {
          multiply_tile(
              sums.of[tile][row_tile],
              left[tile][step],
              right.pair[2 * step],
              right.pair[2 * step + 1]
          );
        }
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

__device__ __forceinline__ float bias_of(const LinearParams& p, int output) {
  return p.bias == nullptr ? 0.0F : to_float(static_cast<const Half*>(p.bias)[output]);
}

template <int kTiles, int kRowTiles, Finish kFinish>
__device__ __forceinline__ void finish(
    const LinearParams& p,
    const int (&first_output)[kTiles],
    int first_row,
    const Sums<kTiles, kRowTiles>& sums
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int row_tile = 0; row_tile < kRowTiles; ++row_tile) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = first_row + 8 * row_tile + lane % 4 * 2 + i % 2;
      if (row >= p.num_rows) continue;
      const int inside = lane / 4 + i / 2 * 8;
      if constexpr (kFinish == Finish::gated) {
        const int output = first_output[0] + inside;
        if (output >= p.gate_offset) continue;
        const float gate = sums.of[0][row_tile][i] + bias_of(p, output);
        const float up = sums.of[1][row_tile][i] + bias_of(p, output + p.gate_offset);
        static_cast<Half*>(p.out)[static_cast<long long>(row) * p.gate_offset + output] =
            to_half(activate(gate, p.activation) * up);
      } else {
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) {
          const int output = first_output[tile] + inside;
          if (output >= p.num_outputs) continue;
          const long long at = static_cast<long long>(row) * p.num_outputs + output;
          float value = sums.of[tile][row_tile][i] + bias_of(p, output);
          if constexpr (kFinish == Finish::residual)
            value += to_float(static_cast<const Half*>(p.residual)[at]);
          if constexpr (kFinish == Finish::store_float) {
            static_cast<float*>(p.out)[at] = value;
          } else {
            static_cast<Half*>(p.out)[at] = to_half(value);
          }
        }
      }
    }
  }
}

// grid: (tiles of outputs, tiles of rows); block: kLinearWarps warps.
template <int kTiles, int kRowTiles, Finish kFinish>
__device__ __forceinline__ void linear(const LinearParams& p) {
  constexpr int kDepth = kTiles == 1 ? 64 / kColumnsPerChunk + 2 : 2;  // chunks loaded at once
  const int first_row = static_cast<int>(blockIdx.y) * 8 * kRowTiles;
  const int block = static_cast<int>(blockIdx.x);
  int first_output[kTiles];
#pragma unroll
  for (int tile = 0; tile < kTiles; ++tile) {
    first_output[tile] =
        kFinish == Finish::gated ? 16 * block + tile * p.gate_offset : 16 * (block * kTiles + tile);
  }
  Sums<kTiles, kRowTiles> sums;
#pragma unroll
  for (int i = 0; i < kTiles * kRowTiles * 4; ++i) (&sums.of[0][0][0])[i] = 0.0F;

  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int offset = static_cast<int>(threadIdx.x) % 4 * kColumnsPerThread;
  for (int base = warp * kColumnsPerChunk; base < p.num_columns;
       base += kDepth * kLinearWarps * kColumnsPerChunk) {
    LoadedChunk<kTiles> chunks[kDepth];
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      chunks[i] =
          load_chunk<kTiles>(p, first_output, base + i * kLinearWarps * kColumnsPerChunk + offset);
    }
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      multiply_chunk<kTiles, kRowTiles>(
          p, chunks[i], first_row, base + i * kLinearWarps * kColumnsPerChunk + offset, sums
      );
    }
  }
  add_warps<kTiles, kRowTiles>(sums);
  if (warp == 0) finish<kTiles, kRowTiles, kFinish>(p, first_output, first_row, sums);
}

}  // namespace mlxs::cuda

#define MLXS_LINEAR(ROWS, TILES)                                             \
  extern "C" __global__ void __launch_bounds__(256)                          \
      linear_##ROWS##_store(mlxs::cuda::LinearParams p) {                    \
    mlxs::cuda::linear<TILES, ROWS / 8, mlxs::cuda::Finish::store>(p);       \
  }                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                          \
      linear_##ROWS##_residual(mlxs::cuda::LinearParams p) {                 \
    mlxs::cuda::linear<TILES, ROWS / 8, mlxs::cuda::Finish::residual>(p);    \
  }                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                          \
      linear_##ROWS##_float(mlxs::cuda::LinearParams p) {                    \
    mlxs::cuda::linear<TILES, ROWS / 8, mlxs::cuda::Finish::store_float>(p); \
  }                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                          \
      linear_##ROWS##_gated(mlxs::cuda::LinearParams p) {                    \
    mlxs::cuda::linear<2, ROWS / 8, mlxs::cuda::Finish::gated>(p);           \
  }

MLXS_LINEAR(8, 1)
MLXS_LINEAR(16, 1)
MLXS_LINEAR(32, 2)
MLXS_LINEAR(64, 2)

#if MLXS_WEIGHT_BITS != 16
// block of 256 threads; each thread expands the words it comes to, 32 / bits weights each.
extern "C" __global__ void __launch_bounds__(256) dequantize(mlxs::cuda::DequantizeParams p) {
  using namespace mlxs::cuda;
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
