// The greedy choice. grid: (splits of a row's logits, rows); block: 256 threads. The last block of a
// row to arrive joins the parts, so the choice does not depend on the number of splits.
namespace mlxs::cuda {

constexpr int kTokenThreads = 256;

// Infinity as a best logit: the row has something that is no number, or is infinite itself.
struct BestToken {
  float logit;
  int token;
};

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ BestToken better(const BestToken& a, const BestToken& b) {
  const bool is_second = b.logit > a.logit || (b.logit == a.logit && b.token < a.token);
  return is_second ? b : a;
}

__device__ __forceinline__ BestToken best_of_warp(BestToken best) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const BestToken other{
        __shfl_xor_sync(0xffffffffU, best.logit, distance),
        __shfl_xor_sync(0xffffffffU, best.token, distance)
    };
    best = better(best, other);
  }
  return best;
}

// In the first thread of the block.
__device__ __forceinline__ BestToken best_of_block(BestToken best) {
  __shared__ BestToken parts[kTokenThreads / 32];
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  best = best_of_warp(best);
  if (lane == 0) parts[warp] = best;
  __syncthreads();
  if (warp == 0) {
    const BestToken none{-infinity(), 0x7fffffff};
    best = best_of_warp(lane < kTokenThreads / 32 ? parts[lane] : none);
  }
  return best;
}

}  // namespace mlxs::cuda

extern "C" __global__ void __launch_bounds__(256) best_token(mlxs::cuda::BestTokenParams p) {
  using namespace mlxs::cuda;
  __shared__ unsigned int num_arrived;
  let_next_start();
  await_previous();
  const int row = static_cast<int>(blockIdx.y);
  const int split = static_cast<int>(blockIdx.x);
  const int num_splits = static_cast<int>(gridDim.x);
  const float* logits = p.logits + static_cast<long long>(row) * p.num_columns;
  BestToken best{-infinity(), 0x7fffffff};
  for (int at = split * kTokenThreads + static_cast<int>(threadIdx.x); at < p.num_columns;
       at += num_splits * kTokenThreads) {
    const float logit = logits[at];
    best = better(best, {logit < infinity() ? logit : infinity(), at});
  }
  best = best_of_block(best);
  if (threadIdx.x == 0) {
    p.best[row * num_splits + split] = best.logit;
    p.best_tokens[row * num_splits + split] = best.token;
    __threadfence();
    num_arrived = atomicAdd(p.arrivals + row, 1U);
  }
  __syncthreads();
  if (num_arrived != static_cast<unsigned int>(num_splits - 1)) return;
  __threadfence();
  BestToken joined{-infinity(), 0x7fffffff};
  for (int i = static_cast<int>(threadIdx.x); i < num_splits; i += kTokenThreads)
    joined = better(joined, {p.best[row * num_splits + i], p.best_tokens[row * num_splits + i]});
  joined = best_of_block(joined);
  if (threadIdx.x != 0) return;
  // Whatever is chosen in a row without a choice is a token of the vocabulary.
  p.tokens[row] = joined.token < p.num_columns ? joined.token : 0;
  p.valid[row] = joined.logit < infinity() && joined.logit > -infinity();
  p.arrivals[row] = 0;
}
