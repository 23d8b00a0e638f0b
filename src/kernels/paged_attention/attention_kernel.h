// The inner loops of paged attention on a CPU, compiled once for each instruction set. Plain
// pointers, no MLX, no threads, and nothing from the standard library that could be shared with
// code for other processors.
//
// A row's keys are taken in tiles and spans at fixed positions of its sequence: an online softmax
// runs over the tiles of a span, and the spans' results are merged in their order. So a row's
// result has the same bits whatever the batch, the chunk of the prompt and the parts are.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_type.h"

namespace mlxs {

inline constexpr int kKeyTile = 64;
inline constexpr int kKeySpan = 256;
inline constexpr int kMaxTaskRows = 96;  // query heads of one task, over its tokens

// The layer. Head h uses kv head h / (num_heads / num_kv_heads).
struct AttentionProblem {
  const float* queries = nullptr;   // [T, query_stride]: H * D values of each row
  float* out = nullptr;             // [T, H * D]
  const std::byte* keys = nullptr;  // of `type`, as kernels/kv_type.h lays a page out
  const std::byte* values = nullptr;
  const float* key_scales = nullptr;  // int8
  const float* value_scales = nullptr;
  std::int64_t query_stride = 0;
  KvType type = KvType::float32;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int page_size = 0;
  int window = 0;
  float scale = 0.0F;
  float soft_cap = 0.0F;
};

// Rows [first_row, first_row + num_rows) of one sequence, one kv head.
struct AttentionTask {
  const std::int32_t* pages = nullptr;  // of the sequence
  int first_row = 0;
  int num_rows = 0;  // num_rows * (num_heads / num_kv_heads) <= kMaxTaskRows, or 1
  int position = 0;  // of first_row in its sequence
  int kv_head = 0;
  // nullptr: over all spans, to problem.out. Else num_rows is 1, and what the span gives goes to
  // [num_heads / num_kv_heads, partial_size()].
  float* partial = nullptr;
  int span = 0;  // with `partial`
};

// The partial results of one row and kv head, merged to problem.out.
struct MergeTask {
  // [num_spans, num_heads / num_kv_heads, partial_size()]; the first span's becomes the total
  float* partials = nullptr;
  int num_spans = 0;
  int row = 0;
  int kv_head = 0;
};

// A head's values are filled up to whole vectors of any instruction set.
[[nodiscard]] constexpr int padded_head_dim(int head_dim) { return (head_dim + 15) / 16 * 16; }

// Floats of one head's partial result: its weighted values, largest score and sum of weights.
[[nodiscard]] constexpr int partial_size(int head_dim) { return padded_head_dim(head_dim) + 16; }

// Floats that attend() needs for itself, for tasks of so many query heads.
[[nodiscard]] constexpr std::int64_t attention_scratch_size(int head_dim, int num_query_rows) {
  const std::int64_t padded = padded_head_dim(head_dim);
  const std::int64_t state = partial_size(head_dim);
  const std::int64_t per_row = padded + 2 * state + kKeyTile;
  return num_query_rows * per_row + std::int64_t{2} * kKeyTile * padded;
}

struct AttentionKernels {
  // `scratch` is aligned to 64 bytes.
  void (*attend)(const AttentionProblem& problem, const AttentionTask& task, float* scratch);
  void (*merge)(const AttentionProblem& problem, const MergeTask& task);
};

extern const AttentionKernels kAttentionBaseline;
#if defined(__x86_64__)
extern const AttentionKernels kAttentionAvx2;    // AVX2, FMA, F16C
extern const AttentionKernels kAttentionAvx512;  // and AVX-512 F, BW, DQ, VL
#endif

}  // namespace mlxs
