// GGUF's blocks of 32 as MLX's affine quantization: w = scale * q + bias with groups of 32.
// Lossless: Q4_1 is that form already, Q4_0 and Q8_0 become it by a bias of -8 or -128 scales,
// exact in float16. Pure functions on bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "model/checkpoint/quantization.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {

inline constexpr std::size_t kGgufBlockElements = 32;

// Where a run of blocks goes; a row of a matrix is shape.back() / 32 blocks.
struct AffineOutput {
  // [blocks * bits] : 32 elements of `bits` bits, the first in the lowest bits
  std::span<std::uint32_t> weights;
  std::span<std::uint16_t> scales;  // [blocks] float16
  std::span<std::uint16_t> biases;  // [blocks] float16
};

// RETURNS: {4, 32} for q4_0 and q4_1, {8, 32} for q8_0. REQUIRES: is_gguf_block(type).
[[nodiscard]] Quantization gguf_block_quantization(TensorType type);

// RETURNS: the bytes of one block. REQUIRES: is_gguf_block(type).
[[nodiscard]] std::size_t gguf_block_bytes(TensorType type);

// Repacks whole blocks. Any split of a tensor into runs gives the same result, so rows may be
// reordered on the way. REQUIRES: is_gguf_block(type), and spans of fitting sizes. ERRORS:
// invalid_model when a scale is infinite, not a number, or so large that the bias leaves float16.
// THREADS: any.
void repack_gguf_blocks(
    TensorType type, std::span<const std::byte> blocks, const AffineOutput& out
);

}  // namespace mlxs
