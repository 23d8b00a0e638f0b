// Products for at most eight rows: each SIMD-group streams four rows of weights once, whatever the
// number of rows of x, and its lanes take 16 (4 bits) or 8 neighbouring columns in turn. A row's
// sum is in the same order for every batch. MLXS_WEIGHT_BITS is 16 (Half), 4 or 8, MLXS_GROUP_SIZE
// the quantization's. No threadgroup memory.
//
// Intensity: 2 R operations a weight of 0.56 (4 bits), 1.06 or 2 bytes, 3.6 R a byte at 4 bits.
// More rows are compute's, for which MLX has products of its own on the matrix units.
constant constexpr int kOutputs = 4;  // of a SIMD-group
constant constexpr int kLinearSimdGroups = 2;
constant constexpr int kChunk = MLXS_WEIGHT_BITS == 4 ? 16 : 8;  // columns of a lane at once

enum Finish { kStore, kResidual, kGated, kStoreFloat };

// The whole numbers, or the values, of a lane's columns of one row of weights.
inline void load_weights(const device uchar* weight, long at, thread float* values) {
#if MLXS_WEIGHT_BITS == 16
  const device Half* source = (const device Half*)weight + at;
  for (int i = 0; i < kChunk; ++i) values[i] = float(source[i]);
#elif MLXS_WEIGHT_BITS == 4
  const device uint* source = (const device uint*)weight + at / 8;
  for (int i = 0; i < kChunk; ++i) values[i] = float((source[i / 8] >> (4 * (i % 8))) & 0xfu);
#else
  const device uint* source = (const device uint*)weight + at / 4;
  for (int i = 0; i < kChunk; ++i) values[i] = float((source[i / 4] >> (8 * (i % 4))) & 0xffu);
#endif
}

template <int kRows, int kFinish>
inline void linear_rows(
    const device uchar* weight,   // [N, K]
    const device Half* scales,    // quantized: [N, K / group]
    const device Half* biases,    // as scales
    const device Half* bias,      // [N], where has_bias
    const device Half* x,         // [R, K]
    const device Half* residual,  // _residual: [R, N]; may be `out`
    device void* out,
    const constant LinearParams& p,
    uint3 group,
    uint simd_group,
    uint lane
) {
  const int width = kFinish == kGated ? kOutputs / 2 : kOutputs;  // outputs written
  const int first = (int(group.x) * kLinearSimdGroups + int(simd_group)) * width;
  const int limit = kFinish == kGated ? p.gate_offset : p.num_outputs;
  const int first_row = int(group.y) * kRows;
  if (first >= limit) return;
  int outputs[kOutputs];
  for (int i = 0; i < kOutputs; ++i) {
    const int inside =
        min(first + i % width, limit - 1);  // beyond the end: one that is there, not written
    outputs[i] = inside + (kFinish == kGated ? i / width * p.gate_offset : 0);
  }
  float sums[kOutputs][kRows];
  for (int i = 0; i < kOutputs; ++i) {
    for (int row = 0; row < kRows; ++row) sums[i][row] = 0.0f;
  }
  for (int column = int(lane) * kChunk; column < p.num_columns; column += 32 * kChunk) {
    float weights[kOutputs][kChunk];
    float scale[kOutputs];
    float zero[kOutputs];
    for (int i = 0; i < kOutputs; ++i) {
      const long at = long(outputs[i]) * p.num_columns + column;
      load_weights(weight, at, weights[i]);
#if MLXS_WEIGHT_BITS == 16
      scale[i] = 1.0f;
      zero[i] = 0.0f;
#else
      scale[i] = float(scales[at / MLXS_GROUP_SIZE]);
      zero[i] = float(biases[at / MLXS_GROUP_SIZE]);
#endif
    }
    for (int row = 0; row < kRows; ++row) {
      if (first_row + row >= p.num_rows) break;
      const device Half* source = x + long(first_row + row) * p.num_columns + column;
      float values[kChunk];
      float total = 0.0f;
      for (int i = 0; i < kChunk; ++i) {
        values[i] = float(source[i]);
        total += values[i];
      }
      for (int i = 0; i < kOutputs; ++i) {
        float dot_product = 0.0f;
        for (int k = 0; k < kChunk; ++k) dot_product += weights[i][k] * values[k];
        sums[i][row] += scale[i] * dot_product + zero[i] * total;
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
    if (first_row + row >= p.num_rows) break;
    float results[kOutputs];
    for (int i = 0; i < kOutputs; ++i) {
      results[i] = simd_sum(sums[i][row]);
      if (p.has_bias != 0) results[i] += float(bias[outputs[i]]);
    }
    if (int(lane) >= width || first + int(lane) >= limit) continue;
    const long at = long(first_row + row) * limit + first + int(lane);
    const float value = results[lane];
    if (kFinish == kGated) {
      ((device Half*)out)[at] = Half(activate(value, p.activation) * results[int(lane) + width]);
    } else if (kFinish == kResidual) {
      ((device Half*)out)[at] = Half(value + float(residual[at]));
    } else if (kFinish == kStoreFloat) {
      ((device float*)out)[at] = value;
    } else {
      ((device Half*)out)[at] = Half(value);
    }
  }
}

// grid: (outputs / (8, gated 4), rows / ROWS); threadgroup: 64 threads.
#define MLXS_LINEAR_KERNEL(ROWS, NAME, FINISH)                                     \
  kernel void linear_##ROWS##_##NAME(                                              \
      const device uchar* weight [[buffer(0)]],                                    \
      const device Half* scales [[buffer(1)]],                                     \
      const device Half* biases [[buffer(2)]],                                     \
      const device Half* bias [[buffer(3)]],                                       \
      const device Half* x [[buffer(4)]],                                          \
      const device Half* residual [[buffer(5)]],                                   \
      device void* out [[buffer(6)]],                                              \
      const constant LinearParams& p [[buffer(7)]],                                \
      uint3 group [[threadgroup_position_in_grid]],                                \
      uint simd_group [[simdgroup_index_in_threadgroup]],                          \
      uint lane [[thread_index_in_simdgroup]]                                      \
  ) {                                                                              \
    linear_rows<ROWS, FINISH>(                                                     \
        weight, scales, biases, bias, x, residual, out, p, group, simd_group, lane \
    );                                                                             \
  }
#define MLXS_LINEAR(ROWS)                       \
  MLXS_LINEAR_KERNEL(ROWS, store, kStore)       \
  MLXS_LINEAR_KERNEL(ROWS, residual, kResidual) \
  MLXS_LINEAR_KERNEL(ROWS, gated, kGated)       \
  MLXS_LINEAR_KERNEL(ROWS, float, kStoreFloat)
MLXS_LINEAR(1)
MLXS_LINEAR(2)
MLXS_LINEAR(4)
MLXS_LINEAR(8)
