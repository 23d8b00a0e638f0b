// Repacked blocks, dequantized as MLX does, against a scalar definition of each GGUF block.
#include "model/checkpoint/gguf_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

// Plain definition of IEEE half, apart from the code under test.
double half_value(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

struct Repacked {
  std::vector<std::uint32_t> weights;
  std::vector<std::uint16_t> scales;
  std::vector<std::uint16_t> biases;
};

Repacked repack(TensorType type, const std::vector<std::byte>& blocks) {
  const std::size_t num_blocks = blocks.size() / gguf_block_bytes(type);
  const auto bits = static_cast<std::size_t>(gguf_block_quantization(type).bits);
  Repacked out{
      std::vector<std::uint32_t>(num_blocks * bits),
      std::vector<std::uint16_t>(num_blocks),
      std::vector<std::uint16_t>(num_blocks)
  };
  repack_gguf_blocks(type, blocks, {out.weights, out.scales, out.biases});
  return out;
}

// MLX: element i of a row lies at bit i * bits of its words; w = scale * q + bias.
double mlx_value(const Repacked& packed, TensorType type, std::size_t index) {
  const auto bits = static_cast<std::size_t>(gguf_block_quantization(type).bits);
  const std::size_t bit = index * bits;
  const std::uint32_t q = (packed.weights[bit / 32] >> (bit % 32)) & ((1U << bits) - 1U);
  const std::size_t group = index / 32;
  return half_value(packed.scales[group]) * q + half_value(packed.biases[group]);
}

// GGUF's definition, element by element.
double gguf_value(TensorType type, const std::byte* block, std::size_t index) {
  std::uint16_t scale = 0;
  std::uint16_t minimum = 0;
  std::memcpy(&scale, block, 2);
  if (type == TensorType::q8_0) {
    return half_value(scale) * static_cast<std::int8_t>(std::to_integer<int>(block[2 + index]));
  }
  const std::size_t header = type == TensorType::q4_1 ? 4 : 2;
  const auto byte = std::to_integer<unsigned>(block[header + index % 16]);
  const int q = static_cast<int>(index < 16 ? byte & 15U : byte >> 4U);
  if (type == TensorType::q4_0) return half_value(scale) * (q - 8);
  std::memcpy(&minimum, block + 2, 2);
  return half_value(scale) * q + half_value(minimum);
}

std::vector<std::byte> random_blocks(TensorType type, std::size_t num_blocks, std::mt19937& rng) {
  std::vector<std::byte> blocks(num_blocks * gguf_block_bytes(type));
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(rng());
  for (std::size_t i = 0; i < num_blocks; ++i) {
    // Any sign; exponents 0 (subnormal) to 22 keep 128 scales inside float16.
    const auto half = [&] {
      return static_cast<std::uint16_t>((rng() & 0x83FFU) | ((rng() % 23) << 10U));
    };
    std::byte* block = blocks.data() + i * gguf_block_bytes(type);
    const std::uint16_t scale = half();
    const std::uint16_t minimum = half();
    std::memcpy(block, &scale, 2);
    if (type == TensorType::q4_1) std::memcpy(block + 2, &minimum, 2);
  }
  return blocks;
}

class GgufBlocks : public ::testing::TestWithParam<TensorType> {};

TEST_P(GgufBlocks, EqualTheScalarDefinitionExactly) {
  const TensorType type = GetParam();
  std::mt19937 rng(7);
  constexpr std::size_t kNumBlocks = 2000;
  const std::vector<std::byte> blocks = random_blocks(type, kNumBlocks, rng);
  const Repacked packed = repack(type, blocks);
  for (std::size_t i = 0; i < kNumBlocks * 32; ++i) {
    const std::byte* block = blocks.data() + (i / 32) * gguf_block_bytes(type);
    // Products of a half and a small integer, and their sums, are exact in double.
    ASSERT_EQ(mlx_value(packed, type, i), gguf_value(type, block, i % 32)) << "element " << i;
  }
}

TEST_P(GgufBlocks, RowByRowEqualsAtOnce) {
  const TensorType type = GetParam();
  std::mt19937 rng(8);
  const std::vector<std::byte> blocks = random_blocks(type, 6, rng);
  const Repacked whole = repack(type, blocks);
  const std::size_t half_bytes = 3 * gguf_block_bytes(type);
  const auto middle = blocks.begin() + static_cast<std::ptrdiff_t>(half_bytes);
  const Repacked first = repack(type, {blocks.begin(), middle});
  Repacked second = repack(type, {middle, blocks.end()});
  std::vector<std::uint32_t> joined = first.weights;
  joined.insert(joined.end(), second.weights.begin(), second.weights.end());
  EXPECT_EQ(joined, whole.weights);
}

TEST_P(GgufBlocks, RefusesInfiniteAndNanScales) {
  const TensorType type = GetParam();
  for (const unsigned bits : {0x7C00U, 0xFC00U, 0x7E01U}) {
    const auto half = static_cast<std::uint16_t>(bits);
    std::vector<std::byte> block(gguf_block_bytes(type));
    std::memcpy(block.data(), &half, 2);
    EXPECT_THROW(repack(type, block), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    GgufBlocks,
    ::testing::Values(TensorType::q4_0, TensorType::q4_1, TensorType::q8_0),
    [](const auto& tested) -> std::string {
      if (tested.param == TensorType::q4_0) return "Q4_0";
      return tested.param == TensorType::q4_1 ? "Q4_1" : "Q8_0";
    }
);

TEST(GgufBlocksBias, EveryFiniteHalfIsExactOrRefused) {
  for (const auto& [type, factor] :
       {std::pair(TensorType::q4_0, 8.0), std::pair(TensorType::q8_0, 128.0)}) {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      const auto half = static_cast<std::uint16_t>(bits);
      if ((half & 0x7C00) == 0x7C00) continue;
      std::vector<std::byte> block(gguf_block_bytes(type));
      std::memcpy(block.data(), &half, 2);
      const double bias = -factor * half_value(half);
      if (std::abs(bias) > 65504.0) {
        ASSERT_THROW(repack(type, block), Error) << bits;
      } else {
        ASSERT_EQ(half_value(repack(type, block).biases[0]), bias) << bits;
      }
    }
  }
}

TEST(GgufBlocksSizes, DisagreeingSpansAreAnError) {
  std::vector<std::byte> blocks(18 * 2);
  std::vector<std::uint32_t> weights(8);
  std::vector<std::uint16_t> scales(2);
  std::vector<std::uint16_t> biases(1);
  EXPECT_THROW(repack_gguf_blocks(TensorType::q4_0, blocks, {weights, scales, biases}), Error);
  EXPECT_THROW((void)gguf_block_bytes(TensorType::f32), Error);
  EXPECT_THROW((void)gguf_block_quantization(TensorType::other), Error);
}

}  // namespace
}  // namespace mlxs
