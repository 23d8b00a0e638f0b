// One tensor of a checkpoint as its validated header describes it. Plain data; reading is
// Checkpoint's duty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs {

// `other` is a type that the file format knows and this build cannot load; its name is in
// TensorInfo::type_name.
enum class TensorType {
  f32,
  f16,
  bf16,  // weights, norms, scales
  u32,   // MLX's packed quantized weights
  f64,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u64,
  boolean,
  q4_0,
  q4_1,
  q8_0,  // GGUF blocks of 32 along the last dimension; see gguf_blocks.h
  other,
};

[[nodiscard]] constexpr bool is_float(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

[[nodiscard]] constexpr bool is_gguf_block(TensorType type) {
  return type == TensorType::q4_0 || type == TensorType::q4_1 || type == TensorType::q8_0;
}

struct TensorInfo {
  std::string name;  // Hugging Face's name, also for GGUF: "model.layers.0.self_attn.q_proj.weight"
  TensorType type = TensorType::other;
  std::string_view type_name;       // the file's own word, static storage: "BF16", "Q4_K"
  std::vector<std::int64_t> shape;  // row-major, Hugging Face's order (out, in); empty: a scalar
  std::size_t file = 0;             // index into Checkpoint's files
  std::uint64_t offset = 0;         // of the first byte, from the start of that file
  std::uint64_t num_bytes = 0;

  // Above 0: the rows (dimension 0) of each of this many heads are stored for an interleaved
  // rotation, so that stored row h*D + 2*i + j is Hugging Face's row h*D + j*D/2 + i. 0: stored as
  // Hugging Face does.
  int interleaved_heads = 0;
};

// RETURNS: for each row in Hugging Face's order the stored row to take; empty when
// interleaved_heads is 0 and nothing has to be moved. ERRORS: invalid_model when dimension 0 is not
// a multiple of 2 * interleaved_heads.
[[nodiscard]] std::vector<std::int64_t> stored_row_order(const TensorInfo& tensor);

}  // namespace mlxs
