// The inner loops of linear() on a CPU, compiled once for each instruction set. Plain pointers, no
// MLX, no threads, and nothing from the standard library that could be shared with code for other
// processors.
#pragma once

#include <cstdint>

namespace mlxs {

enum class WeightFormat : std::uint8_t {
  float32,
  float16,
  bfloat16,
  affine2,
  affine3,
  affine4,
  affine6,
  affine8
};

// out[t * num_outputs + n] = sum_k x[t * num_columns + k] * w[n, k] (+ bias[n])
struct LinearProblem {
  const float* x = nullptr;               // [num_rows, num_columns]
  const unsigned char* weight = nullptr;  // [num_outputs, bytes_per_output]
  const float* scales = nullptr;          // affine: [num_outputs, num_columns / group_size]
  const float* biases = nullptr;          // affine: as scales
  const float* bias = nullptr;            // [num_outputs]; nullptr: none
  float* out = nullptr;                   // [num_rows, num_outputs]
  std::int64_t num_rows = 0;
  std::int64_t num_columns = 0;  // affine: a multiple of group_size
  std::int64_t num_outputs = 0;
  std::int64_t bytes_per_output = 0;
  std::int64_t group_size = 0;
  WeightFormat format = WeightFormat::float32;
};

// How many outputs share one expansion of weights; the last block of a problem may be smaller.
inline constexpr int kOutputBlock = 4;

// Computes outputs [first_output, last_output) of all rows. An element is summed in the same order
// whatever the number of rows, so a row's result does not depend on its batch. `scratch` has room
// for kOutputBlock * num_columns floats.
using LinearKernel = void (*)(
    const LinearProblem& problem,
    std::int64_t first_output,
    std::int64_t last_output,
    float* scratch
);

void linear_kernel_baseline(
    const LinearProblem& problem,
    std::int64_t first_output,
    std::int64_t last_output,
    float* scratch
);
#if defined(__x86_64__)
void linear_kernel_avx2(  // needs AVX2 and FMA
    const LinearProblem& problem,
    std::int64_t first_output,
    std::int64_t last_output,
    float* scratch
);
#endif

}  // namespace mlxs
