// The inner loops of packed_linear(), compiled once for each CpuPath. Plain pointers, no MLX, no
// threads, and nothing from the standard library that could be shared with code for other
// processors.
#pragma once

#include <cstdint>

#include "kernels/linear/input_group.h"

namespace mlxs {

enum class PackedCodes : std::uint8_t { affine4, affine8, float32, float16, bfloat16 };
// What the problem's input is. A path has the forms that input_form_of() asks it for.
enum class ProblemForm : std::uint8_t { float32, int8, int16 };
enum class PackedScales : std::uint8_t { float32, float16, bfloat16 };

struct PackedProblem {
  PackedCodes codes = PackedCodes::float32;
  PackedScales scale_type = PackedScales::float32;
  ProblemForm form = ProblemForm::float32;
  const unsigned char* blocks = nullptr;  // of 16 outputs
  std::int64_t block_bytes = 0;
  std::int64_t num_columns = 0;
  std::int64_t num_outputs = 0;
  std::int64_t group_size = 0;
  int zero_point = 0;
  const void* groups = nullptr;   // else: [T, num_columns / 32] InputGroup8 or InputGroup16
  const float* x = nullptr;       // float32: [T, num_columns]
  const float* bias = nullptr;    // [num_outputs rounded up to 16]; nullptr: none
  const float* addend = nullptr;  // [T, out_stride]; nullptr: none
  float* out = nullptr;           // [T, out_stride]
  std::int64_t out_stride = 0;
};

// Rows [first_row, last_row) of blocks [first_block, last_block).
struct BlockRange {
  std::int64_t first_row = 0;
  std::int64_t last_row = 0;
  std::int64_t first_block = 0;
  std::int64_t last_block = 0;
};

struct PackedKernels {
  void (*multiply)(const PackedProblem& problem, const BlockRange& range);
  // One row: x [num_groups * 32].
  void (*quantize8)(const float* x, std::int64_t num_groups, InputGroup8* groups);
  void (*quantize16)(const float* x, std::int64_t num_groups, InputGroup16* groups);
};

// Each is defined where the build has the instruction set; the processor must have it to call in.
PackedKernels packed_kernels_baseline();
#if defined(__x86_64__)
PackedKernels packed_kernels_avx2();
PackedKernels packed_kernels_avx512();
PackedKernels packed_kernels_avx512_vnni();
#elif defined(__aarch64__)
PackedKernels packed_kernels_neon();
PackedKernels packed_kernels_neon_dot();
#endif

}  // namespace mlxs
