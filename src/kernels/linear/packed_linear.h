// A weight repacked into the layout that the CPU's kernels stream, and its product. Plain memory,
// no MLX.
//
// Layout: blocks of 16 outputs; the last one is filled up with zeros. A block of a quantized weight
// is a run of groups, each: 16 scales, 16 biases (none where every bias is -zero_point * scale),
// then the codes, each four columns of 16 outputs beside each other. 4-bit codes: 64 bytes hold
// columns 0 to 3 of 16 outputs in their low and columns 4 to 7 in their high halves. A block of a
// dense weight is columns of 16 values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/cpu/cpu_context.h"
#include "kernels/linear/linear_input.h"

namespace mlxs {

enum class PackedFormat : std::uint8_t { affine4, affine8, float32, float16, bfloat16 };
enum class ScaleType : std::uint8_t { float32, float16, bfloat16 };

inline constexpr int kPackedOutputs = 16;  // of a block

// A weight as it comes from a file: rows of codes as MLX packs them, or of floats.
struct LinearSource {
  const std::byte* weight =
      nullptr;  // [N, K * bits / 8] codes, first in the lowest bits; or [N, K]
  const std::byte* scales = nullptr;  // [N, K / group_size] of scale_type; nullptr: dense
  const std::byte* biases = nullptr;  // as scales
  const float* bias = nullptr;        // [N]; nullptr: none
  int num_outputs = 0;                // N
  int num_columns = 0;                // K
  int bits = 0;                       // quantized: 2, 3, 4, 6 or 8
  int group_size = 0;                 // quantized: 32, 64 or 128
  ScaleType scale_type = ScaleType::float32;
  PackedFormat dense_format = PackedFormat::float32;  // dense: one of the float formats
};

// Memory aligned to huge pages; empty after a move.
class PackedBytes {
 public:
  PackedBytes() = default;
  explicit PackedBytes(std::size_t num_bytes);
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return num_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::unique_ptr<std::byte[], Free> bytes_;
  std::size_t num_bytes_ = 0;
};

// THREADS: not changed once packed, so shared by any number.
struct PackedLinear {
  PackedFormat format = PackedFormat::float32;
  ScaleType scale_type = ScaleType::float32;
  InputForm input_form = InputForm::float32;  // what its product reads
  int num_outputs = 0;
  int num_columns = 0;
  int group_size = 0;  // quantized: 32, 64 or 128
  int zero_point = 0;  // 8 or 128: biases are -zero_point * scale and not stored; 0: stored
  std::int64_t block_bytes = 0;
  PackedBytes blocks = {};  // [ceil(N / 16), block_bytes]
  PackedBytes bias = {};    // [ceil(N / 16) * 16] float32; empty: none

  [[nodiscard]] bool is_quantized() const { return group_size > 0; }
  [[nodiscard]] std::int64_t num_bytes() const {
    return static_cast<std::int64_t>(blocks.size() + bias.size());
  }
};

// Repacks with the team. Codes, scales and biases are kept as they are; 2, 3 and 6 bits become 4 or
// 8. REQUIRES: sizes that fit each other.
[[nodiscard]] PackedLinear pack_linear(CpuContext& context, const LinearSource& source);

// Writes rows [first_output, first_output + num_rows) of the weight, without the bias, as float32
// [num_rows, K]: scale * code + bias of each group, rounded once.
void unpack_rows(const PackedLinear& weight, int first_output, int num_rows, float* out);

// One product: out[t, n] = sum_k x[t, k] * w[n, k] (+ bias[n]) (+ addend[t, n]).
struct LinearJob {
  const PackedLinear* weight = nullptr;
  const LinearInput* input = nullptr;  // has weight->input_form; as many columns as the weight
  float* out = nullptr;                // [num_rows, out_stride]
  std::int64_t out_stride = 0;         // at least num_outputs
  const float* addend = nullptr;       // [num_rows, out_stride], may be `out`; nullptr: none
};

// Which elements: outputs [first_output, last_output) of rows [first_row, last_row).
// REQUIRES: first_output is a multiple of kPackedOutputs, last_output too or it is num_outputs.
struct LinearPart {
  int first_row = 0;
  int last_row = 0;
  int first_output = 0;
  int last_output = 0;
};

// Computes a part on this thread. An element is summed in the same order whatever the part and the
// number of rows: a row's result does not depend on its batch.
void run_linear_part(CpuPath path, const LinearJob& job, const LinearPart& part);

// The whole products, one after another and dealt to the team together: several products of one
// input are one phase. The inputs are prepared.
void packed_linear(CpuContext& context, std::span<const LinearJob> jobs);

}  // namespace mlxs
