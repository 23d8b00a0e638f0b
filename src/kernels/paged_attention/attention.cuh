// What the attention kernels and the store share: heads in registers, rotation, pool rows.
// MLXS_HEAD_DIM is D, MLXS_KV_INT8 1 for 8-bit pools.
#pragma once

namespace mlxs::cuda {

constexpr int kHeadDim = MLXS_HEAD_DIM;
constexpr float kMinusInfinity = -3.0e38F;  // finite, so that differences of two stay numbers

// Norms and rotates one head by one warp: source [D] half -> target [D] float32 in shared memory.
// All lanes of the warp take part; target is complete for the warp at return.
__device__ __forceinline__ void prepare_head(
    const AttentionParams& p, const Half* source, const void* norm_weight, int row, float* target
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  // All that comes from memory is asked for at once.
  constexpr int kAngles = (kHeadDim / 2 + 31) / 32;  // of a lane
  float cosines[kAngles] = {};
  float sines[kAngles] = {};
#pragma unroll
  for (int i = 0; i < kAngles; ++i) {
    if (p.cos == nullptr || lane + 32 * i >= p.num_frequencies) continue;
    cosines[i] = p.cos[row * p.num_frequencies + lane + 32 * i];
    sines[i] = p.sin[row * p.num_frequencies + lane + 32 * i];
  }
  float sum = 0.0F;
#pragma unroll
  for (int i = lane; i < kHeadDim; i += 32) {
    const float value = to_float(source[i]);
    target[i] = value;
    sum += value * value;
  }
  if (norm_weight != nullptr) {
    const float factor = rsqrtf(warp_sum(sum) / static_cast<float>(kHeadDim) + p.norm_eps);
    for (int i = lane; i < kHeadDim; i += 32) {
      target[i] =
          to_float(to_half(target[i] * factor * to_float(static_cast<const Half*>(norm_weight)[i]))
          );
    }
  }
  __syncwarp();
  if (p.cos == nullptr) return;
#pragma unroll
  for (int step = 0; step < kAngles; ++step) {
    const int i = lane + 32 * step;
    if (i >= p.num_frequencies) continue;
    const float a = target[i];
    const float b = target[i + p.num_frequencies];
    target[i] = to_float(to_half(a * cosines[step] - b * sines[step]));
    target[i + p.num_frequencies] = to_float(to_half(b * cosines[step] + a * sines[step]));
  }
  __syncwarp();
}

// The row of the pool with the token at `position` of a sequence, for one kv head.
__device__ __forceinline__ long long pool_row(
    const AttentionParams& p, const int* table, int position, int kv_head
) {
  const long long page = table[position / p.page_size];
  return (page * p.page_size + position % p.page_size) * p.num_kv_heads + kv_head;
}

// Stores one head [D] float32 in shared memory by one warp.
__device__ __forceinline__ void store_head(
    void* pool, float* scales, long long row, const float* values
) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#if MLXS_KV_INT8
  float largest = 0.0F;
  bool is_finite = true;
  for (int i = lane; i < kHeadDim; i += 32) {
    const float magnitude = fabsf(values[i]);
    is_finite = is_finite && magnitude <= 3.4e38F;
    largest = fmaxf(largest, magnitude);
  }
  float bad = is_finite ? 0.0F : 1.0F;
  for (int distance = 16; distance > 0; distance /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffU, largest, distance));
    bad += __shfl_xor_sync(0xffffffffU, bad, distance);
  }
  const float inverse = 127.0F / largest;
  const bool is_usable = bad == 0.0F && inverse <= 3.4e38F;
  signed char* target = static_cast<signed char*>(pool) + row * kHeadDim;
  for (int i = lane; i < kHeadDim; i += 32)
    target[i] = static_cast<signed char>(is_usable ? rintf(values[i] * inverse) : 0.0F);
  if (lane == 0) {
    const float finite_scale = is_usable ? largest * (1.0F / 127.0F) : 0.0F;
    // Infinity: attention's result shows what was not finite.
    scales[row] = bad == 0.0F ? finite_scale : bad * -kMinusInfinity * 10.0F;
  }
#else
  Half* target = static_cast<Half*>(pool) + row * kHeadDim;
  for (int i = lane; i < kHeadDim; i += 32) target[i] = to_half(values[i]);
#endif
}

// Eight values from `first` on of a row of the pool.
__device__ __forceinline__ void load_pool8(
    const void* pool, const float* scales, long long row, int first, float (&values)[8]
) {
#if MLXS_KV_INT8
  const Vec2 packed = load8(static_cast<const signed char*>(pool) + row * kHeadDim + first);
  const float scale = scales[row];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const unsigned int word = i < 4 ? packed.x : packed.y;
    values[i] = scale * static_cast<float>(static_cast<signed char>((word >> (i % 4 * 8)) & 0xffU));
  }
#else
  unpack8(load16(static_cast<const Half*>(pool) + row * kHeadDim + first), values);
#endif
}

__device__ __forceinline__ float capped(float score, float cap) {
  return cap > 0.0F ? cap * tanhf(score / cap) : score;
}

}  // namespace mlxs::cuda
