// Repacking of Q4_0, Q4_1 and Q8_0. The float16 arithmetic is on bits: negation and powers of two
// are exact there.
#include "model/checkpoint/gguf_blocks.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "mlx_serving/error.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::size_t kNibbleBytes = kGgufBlockElements / 2;
constexpr std::uint16_t kExponentMask = 0x7C00;

[[noreturn]] void throw_bad_scale() {
  throw Error(
      ErrorCode::invalid_model,
      "a quantized block has a scale that is infinite, not a number or too large; the file is "
      "corrupted"
  );
}

std::uint16_t load_half(const std::byte* bytes) {
  std::uint16_t half = 0;
  std::memcpy(&half, bytes, sizeof(half));
  if ((half & kExponentMask) == kExponentMask) throw_bad_scale();
  return half;
}

// RETURNS: -(2^shift) * half, exactly. REQUIRES: a finite half, 1 <= shift <= 7.
std::uint16_t negated_multiple(std::uint16_t half, unsigned shift) {
  const unsigned sign = (half & 0x8000U) ^ 0x8000U;
  unsigned exponent = (half & kExponentMask) >> 10U;
  unsigned mantissa = half & 0x3FFU;
  if (exponent == 0) {
    // A subnormal becomes normal once its leading bit reaches bit 10; the bits shifted out are
    // zeros.
    mantissa <<= shift;
    exponent = mantissa >= 0x400U ? 1 : 0;
    for (; mantissa >= 0x800U; mantissa >>= 1U) ++exponent;
    mantissa &= 0x3FFU;
  } else {
    exponent += shift;
  }
  if (exponent >= 31) throw_bad_scale();
  return static_cast<std::uint16_t>(sign | (exponent << 10U) | mantissa);
}

// GGUF: byte i holds element i in its low and i + 16 in its high half. MLX: elements follow each
// other.
void repack_nibbles(const std::byte* in, std::uint32_t* out) {
  std::array<std::uint8_t, kNibbleBytes> source{};
  std::array<std::uint8_t, kNibbleBytes> packed{};
  std::memcpy(source.data(), in, kNibbleBytes);
  for (std::size_t i = 0; i < kNibbleBytes / 2; ++i) {
    const unsigned even = source[2 * i];
    const unsigned odd = source[2 * i + 1];
    packed[i] = static_cast<std::uint8_t>((even & 0xFU) | ((odd & 0xFU) << 4U));
    packed[i + kNibbleBytes / 2] = static_cast<std::uint8_t>((even >> 4U) | (odd & 0xF0U));
  }
  std::memcpy(out, packed.data(), kNibbleBytes);
}

// int8 q becomes uint8 q + 128: the sign bit flips.
void repack_bytes(const std::byte* in, std::uint32_t* out) {
  constexpr std::uint32_t kSignBits = 0x80808080U;
  std::array<std::uint32_t, kGgufBlockElements / 4> words{};
  std::memcpy(words.data(), in, sizeof(words));
  for (std::uint32_t& word : words) word ^= kSignBits;
  std::memcpy(out, words.data(), sizeof(words));
}

void repack_block(
    TensorType type, const std::byte* block, std::size_t index, const AffineOutput& out
) {
  constexpr std::size_t kHalf = sizeof(std::uint16_t);
  const std::uint16_t scale = load_half(block);
  out.scales[index] = scale;
  if (type == TensorType::q4_1) {
    out.biases[index] = load_half(block + kHalf);
    repack_nibbles(block + 2 * kHalf, &out.weights[index * 4]);
  } else if (type == TensorType::q4_0) {
    out.biases[index] = negated_multiple(scale, 3);
    repack_nibbles(block + kHalf, &out.weights[index * 4]);
  } else {
    out.biases[index] = negated_multiple(scale, 7);
    repack_bytes(block + kHalf, &out.weights[index * 8]);
  }
}

void check_sizes(TensorType type, std::span<const std::byte> blocks, const AffineOutput& out) {
  const std::size_t num_blocks = blocks.size() / gguf_block_bytes(type);
  const auto bits = static_cast<std::size_t>(gguf_block_quantization(type).bits);
  const bool fits = blocks.size() % gguf_block_bytes(type) == 0 &&
                    out.weights.size() == num_blocks * bits && out.scales.size() == num_blocks &&
                    out.biases.size() == num_blocks;
  if (!fits)
    throw Error(
        ErrorCode::engine_error, "repack_gguf_blocks: the sizes of blocks and output disagree"
    );
}

}  // namespace

Quantization gguf_block_quantization(TensorType type) {
  if (!is_gguf_block(type))
    throw Error(ErrorCode::engine_error, "gguf_block_quantization: not a GGUF block type");
  return {
      .bits = type == TensorType::q8_0 ? 8 : 4, .group_size = static_cast<int>(kGgufBlockElements)
  };
}

std::size_t gguf_block_bytes(TensorType type) {
  switch (type) {
    case TensorType::q4_0:
      return 2 + kNibbleBytes;
    case TensorType::q4_1:
      return 4 + kNibbleBytes;
    case TensorType::q8_0:
      return 2 + kGgufBlockElements;
    default:
      throw Error(ErrorCode::engine_error, "gguf_block_bytes: not a GGUF block type");
  }
}

void repack_gguf_blocks(
    TensorType type, std::span<const std::byte> blocks, const AffineOutput& out
) {
  check_sizes(type, blocks, out);
  const std::size_t block_bytes = gguf_block_bytes(type);
  for (std::size_t i = 0; i < out.scales.size(); ++i) {
    repack_block(type, blocks.data() + i * block_bytes, i, out);
  }
}

}  // namespace mlxs
