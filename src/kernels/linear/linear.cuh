// What the kernels of products share: weights and rows as the tensor cores' fragments, and what
// happens to a sum. MLXS_WEIGHT_BITS is 16 (half), 4 or 8, MLXS_GROUP_SIZE the quantization's.
//
// A product does not care for the order of its columns, so a thread takes columns that lie
// together: 16 bytes of weights, and the same columns of x, without any exchange.
#pragma once

namespace mlxs::cuda {

enum class Finish { store, residual, gated, store_float };

constexpr int kColumnsPerThread = 128 / MLXS_WEIGHT_BITS;  // of 16 bytes of weights
constexpr int kColumnsPerChunk = 4 * kColumnsPerThread;    // of a warp

// Four registers with the eight weights `part` of the 16 bytes, two for each product of 16 columns.
struct Expanded {
  unsigned int pair[4];
};

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

// The eight weights `part` of 16 bytes, in the order in which ordered_x() has the columns.
__device__ __forceinline__ Expanded
expand(const Vec4& packed, int part, unsigned int scale, unsigned int bias) {
  Expanded result;
#if MLXS_WEIGHT_BITS == 16
  result.pair[0] = packed.x;
  result.pair[1] = packed.y;
  result.pair[2] = packed.z;
  result.pair[3] = packed.w;
#elif MLXS_WEIGHT_BITS == 4
  const unsigned int word = word_at(packed, part);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int shifted = ((word >> (4 * i)) & 0x000F000FU) | kMagic;
    result.pair[i] = fma_halves(fma_halves(shifted, kOnes, kMinusMagic), scale, bias);
  }
#else
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int word = word_at(packed, 2 * part + i / 2) >> (i % 2 * 16);
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

}  // namespace mlxs::cuda
