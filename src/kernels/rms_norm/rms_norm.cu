// The residual stream's step between two products: adds a block's result, normed where the family
// asks for it, and norms for the next block. A block of 256 threads for each row.
namespace mlxs::cuda {

constexpr int kNormThreads = 256;

// The sum over the block's threads, in all of them.
__device__ __forceinline__ float block_sum(float value) {
  __shared__ float parts[kNormThreads / 32];
  const float sum = warp_sum(value);
  __syncthreads();  // the last use of `parts` is over
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0.0F;
  for (int i = 0; i < kNormThreads / 32; ++i) total += parts[i];
  return total;
}

// The pair of halves at 2 * index of a row.
__device__ __forceinline__ unsigned int pair_at(const void* row, int index) {
  return static_cast<const unsigned int*>(row)[index];
}

__device__ __forceinline__ float inverse_norm(const void* row, int num_pairs, float eps) {
  float sum = 0.0F;
  for (int i = static_cast<int>(threadIdx.x); i < num_pairs; i += kNormThreads) {
    const unsigned int pair = pair_at(row, i);
    sum += low_float(pair) * low_float(pair) + high_float(pair) * high_float(pair);
  }
  return rsqrtf(block_sum(sum) / static_cast<float>(2 * num_pairs) + eps);
}

constexpr int kNormVectors = 4;  // of 16 bytes that a thread holds

// The plain norm of a row that the block's registers hold.
__device__ __forceinline__ void norm_held_row(const NormParams& p) {
  const long long at = static_cast<long long>(blockIdx.x) * p.num_columns;
  const Half* x = static_cast<const Half*>(p.x) + at;
  Half* out = static_cast<Half*>(p.out) + at;
  const int first = 8 * static_cast<int>(threadIdx.x);
  Vec4 weights[kNormVectors];
  Vec4 held[kNormVectors];
#pragma unroll
  for (int i = 0; i < kNormVectors; ++i) {
    const int column = first + i * 8 * kNormThreads;
    if (column < p.num_columns)
      weights[i] = load16(static_cast<const Half*>(p.pre_weight) + column);
  }
  await_previous();
  float sum = 0.0F;
#pragma unroll
  for (int i = 0; i < kNormVectors; ++i) {
    const int column = first + i * 8 * kNormThreads;
    if (column >= p.num_columns) continue;
    held[i] = load16(x + column);
    float values[8];
    unpack8(held[i], values);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum += values[j] * values[j];
  }
  const float factor = rsqrtf(block_sum(sum) / static_cast<float>(p.num_columns) + p.eps);
#pragma unroll
  for (int i = 0; i < kNormVectors; ++i) {
    const int column = first + i * 8 * kNormThreads;
    if (column >= p.num_columns) continue;
    float values[8];
    float scales[8];
    unpack8(held[i], values);
    unpack8(weights[i], scales);
    unsigned int pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      pairs[j] = pack_halves(
          values[2 * j] * factor * scales[2 * j], values[2 * j + 1] * factor * scales[2 * j + 1]
      );
    }
    *reinterpret_cast<Vec4*>(out + column) = Vec4{pairs[0], pairs[1], pairs[2], pairs[3]};
  }
}

}  // namespace mlxs::cuda

// REQUIRES: an even number of columns.
extern "C" __global__ void __launch_bounds__(256) norm_rows(mlxs::cuda::NormParams p) {
  using namespace mlxs::cuda;
  let_next_start();
  const bool is_plain = p.y == nullptr && p.out != nullptr && p.pre_weight != nullptr;
  if (is_plain && p.num_columns % 8 == 0 && p.num_columns <= 8 * kNormVectors * kNormThreads) {
    norm_held_row(p);
    return;
  }
  await_previous();
  const long long at = static_cast<long long>(blockIdx.x) * p.num_columns;
  const int num_pairs = p.num_columns / 2;
  Half* x = static_cast<Half*>(p.x) + at;
  if (p.y != nullptr) {
    const Half* y = static_cast<const Half*>(p.y) + at;
    const float factor = p.post_weight != nullptr ? inverse_norm(y, num_pairs, p.eps) : 1.0F;
    for (int i = static_cast<int>(threadIdx.x); i < num_pairs; i += kNormThreads) {
      const unsigned int pair = pair_at(y, i);
      const unsigned int before = pair_at(x, i);
      float low = low_float(pair);
      float high = high_float(pair);
      if (p.post_weight != nullptr) {
        const unsigned int weight = pair_at(p.post_weight, i);
        low *= factor * low_float(weight);
        high *= factor * high_float(weight);
      }
      reinterpret_cast<unsigned int*>(x)[i] =
          pack_halves(low_float(before) + low, high_float(before) + high);
    }
    __syncthreads();
  }
  if (p.out == nullptr) return;
  unsigned int* out = reinterpret_cast<unsigned int*>(static_cast<Half*>(p.out) + at);
  const float factor = p.pre_weight != nullptr ? inverse_norm(x, num_pairs, p.eps) : 1.0F;
  for (int i = static_cast<int>(threadIdx.x); i < num_pairs; i += kNormThreads) {
    const unsigned int pair = pair_at(x, i);
    if (p.pre_weight == nullptr) {
      out[i] = pair;
      continue;
    }
    const unsigned int weight = pair_at(p.pre_weight, i);
    out[i] = pack_halves(
        low_float(pair) * factor * low_float(weight), high_float(pair) * factor * high_float(weight)
    );
  }
}
