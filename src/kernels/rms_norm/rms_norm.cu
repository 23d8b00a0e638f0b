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

}  // namespace mlxs::cuda

// REQUIRES: an even number of columns.
extern "C" __global__ void __launch_bounds__(256) norm_rows(mlxs::cuda::NormParams p) {
  using namespace mlxs::cuda;
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
