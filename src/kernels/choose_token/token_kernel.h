// Passes over a row of logits on a CPU, compiled once for each instruction set. Plain pointers, no
// MLX, no threads.
#pragma once

#include "kernels/cpu/cpu_path.h"

namespace mlxs {

struct RowScan {
  float largest = 0.0F;      // of what is not NaN; -infinity where there is nothing
  bool has_invalid = false;  // a NaN or +infinity
};

// Which tokens have a weight, and which: e^(x / temperature - largest).
struct WeighRule {
  float temperature = 1.0F;
  float largest = 0.0F;  // of x / temperature
  // Kept are tokens whose x / temperature is above the threshold, and of those that are equal to
  // it the ones up to this id.
  float threshold = 0.0F;
  int last_equal_id = 0;
};

struct TokenKernels {
  RowScan (*scan)(const float* x, int num_values);
  // RETURNS: the first position of `value`, num_values where there is none.
  int (*find)(const float* x, int num_values, float value);
  // x are the logits of tokens first_id ..; writes their weights, 0 for those that are not kept.
  // RETURNS: the sum.
  float (*weigh)(const float* x, int num_values, int first_id, const WeighRule& rule, float* out);
};

extern const TokenKernels kTokenBaseline;
#if defined(__x86_64__)
extern const TokenKernels kTokenAvx2;    // AVX2, FMA, F16C
extern const TokenKernels kTokenAvx512;  // and AVX-512 F, BW, DQ, VL
#endif

// RETURNS: the kernels of a path of available_cpu_paths().
[[nodiscard]] const TokenKernels& token_kernels(CpuPath path);

}  // namespace mlxs
