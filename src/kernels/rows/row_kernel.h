// What a decoder layer does to rows between its products, on a CPU, compiled once for each
// instruction set: norms, rotation and the store into the pool, gated activations. Plain pointers,
// no MLX, no threads. A row's result depends on that row only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/cpu_path.h"
#include "kernels/kv_type.h"
#include "kernels/layer_spec.h"

namespace mlxs {

// out[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i] (+ addend[i])
struct NormRow {
  const float* x = nullptr;
  const float* weight = nullptr;
  const float* addend = nullptr;  // nullptr: none; may be `out`
  float* out = nullptr;           // may be `x`
  int num_columns = 0;
  float eps = 0.0F;
};

// The heads of q, k and v as they come from their products: q is normed and rotated in place, k
// too, and k and v go to the pool. int8 as quantize_kv() has it.
struct StoreProblem {
  float* queries = nullptr;  // [T, stride]: H * D values of each row
  float* keys = nullptr;     // [T, stride]: Hkv * D
  const float* values = nullptr;
  std::int64_t stride = 0;
  const float* q_norm = nullptr;  // [D]; nullptr: none
  const float* k_norm = nullptr;
  float eps = 0.0F;
  const float* cos = nullptr;  // [T, num_pairs]; nullptr: no rotation
  const float* sin = nullptr;
  int num_pairs = 0;                    // dimension i < num_pairs is rotated with i + num_pairs
  const std::int32_t* slots = nullptr;  // [T]
  std::byte* key_pool = nullptr;        // of `type`, as kernels/kv_type.h lays a page out
  std::byte* value_pool = nullptr;
  float* key_scales = nullptr;  // int8
  float* value_scales = nullptr;
  KvType type = KvType::float32;
  int page_size = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
};

struct GateRow {
  const float* gate = nullptr;
  const float* up = nullptr;
  float* out = nullptr;  // activation(gate) * up; may be either
  int num_columns = 0;
  Activation activation = Activation::silu;
};

struct RowKernels {
  void (*norm)(const NormRow& row);
  void (*store)(const StoreProblem& problem, int first_row, int last_row);
  void (*gate)(const GateRow& row);
  void (*soft_cap)(float* x, std::int64_t num_values, float cap);  // x -> cap * tanh(x / cap)
};

extern const RowKernels kRowBaseline;
#if defined(__x86_64__)
extern const RowKernels kRowAvx2;    // AVX2, FMA, F16C
extern const RowKernels kRowAvx512;  // and AVX-512 F, BW, DQ, VL
#endif

// RETURNS: the kernels of a path of available_cpu_paths().
[[nodiscard]] const RowKernels& row_kernels(CpuPath path);

}  // namespace mlxs
