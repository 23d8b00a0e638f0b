// Repacking a weight, and reading rows of it back.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/linear/packed_dispatch.h"
#include "kernels/linear/packed_linear.h"

namespace mlxs {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

using Byte = unsigned char;

std::int64_t float_bytes(PackedFormat format) { return format == PackedFormat::float32 ? 4 : 2; }
std::int64_t scale_bytes(ScaleType type) { return type == ScaleType::float32 ? 4 : 2; }

float as_float(std::uint32_t bits) { return std::bit_cast<float>(bits); }

// The exponent is rebased by a product, which is exact and takes subnormal numbers along;
// infinities and NaNs keep theirs.
float float_of_half(std::uint16_t half) {
  const std::uint32_t magnitude = (std::uint32_t{half} & 0x7FFFU) << 13U;
  const std::uint32_t sign = (std::uint32_t{half} & 0x8000U) << 16U;
  const float value =
      magnitude >= 0x0F800000U ? as_float(magnitude | 0x7F800000U) : as_float(magnitude) * 0x1p112F;
  return as_float(std::bit_cast<std::uint32_t>(value) | sign);
}

template <typename T>
T load(const Byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float load_float(const Byte* from, ScaleType type) {
  switch (type) {
    case ScaleType::float32:
      return load<float>(from);
    case ScaleType::float16:
      return float_of_half(load<std::uint16_t>(from));
    case ScaleType::bfloat16:
      return as_float(std::uint32_t{load<std::uint16_t>(from)} << 16U);
  }
  return 0.0F;
}

ScaleType type_of(PackedFormat format) {
  if (format == PackedFormat::float32) return ScaleType::float32;
  return format == PackedFormat::float16 ? ScaleType::float16 : ScaleType::bfloat16;
}

// Codes of `bits` bits as they are packed by MLX: eight of them are `bits` bytes.
std::uint64_t eight_codes(const Byte* from, int bits) {
  std::uint64_t packed = 0;
  for (int byte = 0; byte < bits; ++byte)
    packed |= std::uint64_t{from[byte]} << (8U * static_cast<unsigned>(byte));
  if (bits == 8) return packed;
  std::uint64_t codes = 0;
  const std::uint64_t mask = (std::uint64_t{1} << static_cast<unsigned>(bits)) - 1;
  for (unsigned code = 0; code < 8; ++code)
    codes |= (packed >> (code * static_cast<unsigned>(bits)) & mask) << (8U * code);
  return codes;
}

// Eight nibbles as four bytes: columns 0 to 3 in the low halves, 4 to 7 in the high ones.
std::uint32_t interleaved_nibbles(std::uint32_t packed) {
  const auto spread = [](std::uint32_t nibbles) {
    nibbles = (nibbles | nibbles << 8U) & 0x00FF00FFU;
    return (nibbles | nibbles << 4U) & 0x0F0F0F0FU;
  };
  return spread(packed & 0xFFFFU) | spread(packed >> 16U) << 4U;
}

// The same from eight bytes.
std::uint32_t interleaved_bytes(std::uint64_t codes) {
  return static_cast<std::uint32_t>(codes) | static_cast<std::uint32_t>(codes >> 32U) << 4U;
}

class Packer {
 public:
  Packer(const LinearSource& source, const PackedLinear& target)
      : source_(source),
        target_(target),
        groups_(source.num_columns / std::max(1, source.group_size)) {}

  void pack_block(std::int64_t block) const {
    Byte* to = reinterpret_cast<Byte*>(target_.blocks.data()) + block * target_.block_bytes;
    const int num_outputs = static_cast<int>(
        std::min<std::int64_t>(kPackedOutputs, source_.num_outputs - block * kPackedOutputs)
    );
    if (num_outputs < kPackedOutputs)
      std::memset(to, 0, static_cast<std::size_t>(target_.block_bytes));
    for (int lane = 0; lane < num_outputs; ++lane) {
      const std::int64_t output = block * kPackedOutputs + lane;
      target_.is_quantized() ? pack_affine(output, to, lane) : pack_dense(output, to, lane);
    }
  }

 private:
  void pack_dense(std::int64_t output, Byte* to, int lane) const {
    const std::int64_t size = float_bytes(target_.format);
    const Byte* from = bytes(source_.weight) + output * source_.num_columns * size;
    for (std::int64_t column = 0; column < source_.num_columns; ++column) {
      Byte* place = to + (column * kPackedOutputs + lane) * size;
      if (size == 4) {
        std::memcpy(place, from + column * 4, 4);
      } else {
        std::memcpy(place, from + column * 2, 2);
      }
    }
  }

  void pack_affine(std::int64_t output, Byte* to, int lane) const {
    const std::int64_t size = scale_bytes(source_.scale_type);
    const Byte* codes = bytes(source_.weight) + output * source_.num_columns / 8 * source_.bits;
    const Byte* scales = bytes(source_.scales) + output * groups_ * size;
    const Byte* biases = bytes(source_.biases) + output * groups_ * size;
    for (std::int64_t group = 0; group < groups_; ++group) {
      std::memcpy(to + lane * size, scales + group * size, static_cast<std::size_t>(size));
      to += kPackedOutputs * size;
      if (target_.zero_point == 0) {
        std::memcpy(to + lane * size, biases + group * size, static_cast<std::size_t>(size));
        to += kPackedOutputs * size;
      }
      for (int column = 0; column < source_.group_size; column += 8) {
        pack_eight(codes, to, lane);
        codes += source_.bits;
        to += target_.format == PackedFormat::affine4 ? 64 : 128;
      }
    }
  }

  void pack_eight(const Byte* codes, Byte* to, int lane) const {
    if (target_.format == PackedFormat::affine8) {
      const std::uint64_t eight =
          source_.bits == 8 ? load<std::uint64_t>(codes) : eight_codes(codes, source_.bits);
      std::memcpy(to + lane * 4, &eight, 4);
      const std::uint64_t high = eight >> 32U;
      std::memcpy(to + 64 + lane * 4, &high, 4);
      return;
    }
    const std::uint32_t packed = source_.bits == 4
                                     ? interleaved_nibbles(load<std::uint32_t>(codes))
                                     : interleaved_bytes(eight_codes(codes, source_.bits));
    std::memcpy(to + lane * 4, &packed, 4);
  }

  static const Byte* bytes(const std::byte* from) { return reinterpret_cast<const Byte*>(from); }

  const LinearSource& source_;
  const PackedLinear& target_;
  std::int64_t groups_;
};

// RETURNS: 8 or 128 where every bias is exactly -8 or -128 scales, as GGUF's symmetric blocks are,
// else 0. `bits` are the source's.
int zero_point_of(CpuContext& context, const LinearSource& source) {
  if (source.bits != 4 && source.bits != 8) return 0;
  const int zero_point = source.bits == 4 ? 8 : 128;
  const std::int64_t size = scale_bytes(source.scale_type);
  const std::int64_t num_groups =
      std::int64_t{source.num_outputs} * (source.num_columns / source.group_size);
  const auto* scales = reinterpret_cast<const Byte*>(source.scales);
  const auto* biases = reinterpret_cast<const Byte*>(source.biases);
  constexpr int kParts = 64;
  std::atomic<bool> is_symmetric{true};
  context.team.run(kParts, [&](int part) {
    const std::int64_t last = num_groups * (part + 1) / kParts;
    for (std::int64_t group = num_groups * part / kParts; group < last; ++group) {
      const float scale = load_float(scales + group * size, source.scale_type);
      const float bias = load_float(biases + group * size, source.scale_type);
      if (bias == -static_cast<float>(zero_point) * scale) continue;
      is_symmetric.store(false, std::memory_order_relaxed);
      return;
    }
  });
  return is_symmetric ? zero_point : 0;
}

void check(const LinearSource& source) {
  const bool is_quantized = source.scales != nullptr;
  const bool has_bits = source.bits == 2 || source.bits == 3 || source.bits == 4 ||
                        source.bits == 6 || source.bits == 8;
  const bool has_groups =
      source.group_size == 32 || source.group_size == 64 || source.group_size == 128;
  if (source.num_outputs < 0 || source.num_columns < 0 ||
      (is_quantized && (!has_bits || !has_groups || source.biases == nullptr ||
                        source.num_columns % source.group_size != 0))) {
    throw std::invalid_argument("[pack_linear] a weight of sizes that do not fit each other");
  }
}

std::int64_t block_bytes_of(const PackedLinear& target) {
  const std::int64_t columns = target.num_columns;
  if (!target.is_quantized()) return columns * kPackedOutputs * float_bytes(target.format);
  const std::int64_t code_bits = target.format == PackedFormat::affine4 ? 4 : 8;
  const std::int64_t numbers_per_group = target.zero_point == 0 ? 2 : 1;
  return columns * kPackedOutputs * code_bits / 8 + columns / target.group_size * kPackedOutputs *
                                                        numbers_per_group *
                                                        scale_bytes(target.scale_type);
}

void unpack_dense(const PackedLinear& weight, const Byte* block, int lane, float* out) {
  const std::int64_t size = float_bytes(weight.format);
  for (std::int64_t column = 0; column < weight.num_columns; ++column) {
    out[column] =
        load_float(block + (column * kPackedOutputs + lane) * size, type_of(weight.format));
  }
}

void unpack_affine(const PackedLinear& weight, const Byte* from, int lane, float* out) {
  const std::int64_t size = scale_bytes(weight.scale_type);
  for (int first = 0; first < weight.num_columns; first += weight.group_size) {
    const float scale = load_float(from + lane * size, weight.scale_type);
    from += kPackedOutputs * size;
    float bias = -static_cast<float>(weight.zero_point) * scale;
    if (weight.zero_point == 0) {
      bias = load_float(from + lane * size, weight.scale_type);
      from += kPackedOutputs * size;
    }
    for (int column = 0; column < weight.group_size; column += 4) {
      const bool is_high = weight.format == PackedFormat::affine4 && column % 8 == 4;
      for (int i = 0; i < 4; ++i) {
        unsigned code = from[lane * 4 + i];
        if (weight.format == PackedFormat::affine4) code = is_high ? code >> 4U : code & 15U;
        *out++ = std::fma(scale, static_cast<float>(code), bias);
      }
      if (weight.format == PackedFormat::affine8 || is_high) from += 4 * kPackedOutputs;
    }
  }
}

}  // namespace

PackedBytes::PackedBytes(std::size_t num_bytes) : num_bytes_(num_bytes) {
  if (num_bytes == 0) return;
  const bool is_large = num_bytes >= kHugePageBytes;
  const std::size_t alignment = is_large ? kHugePageBytes : std::size_t{64};
  const std::size_t rounded = (num_bytes + 63) / 64 * 64;
  auto* bytes = static_cast<std::byte*>(
      std::aligned_alloc(alignment, (rounded + alignment - 1) / alignment * alignment)
  );
  if (bytes == nullptr) throw std::bad_alloc();
  bytes_.reset(bytes);
#ifdef MADV_HUGEPAGE
  // Fewer misses of the address translation; a system without it goes on with small pages.
  if (is_large) static_cast<void>(madvise(bytes, rounded, MADV_HUGEPAGE));
#endif
}

void PackedBytes::Free::operator()(std::byte* bytes) const { std::free(bytes); }

PackedLinear pack_linear(CpuContext& context, const LinearSource& source) {
  check(source);
  PackedLinear target{
      .format = source.dense_format,
      .scale_type = source.scale_type,
      .num_outputs = source.num_outputs,
      .num_columns = source.num_columns
  };
  if (source.scales != nullptr) {
    target.format = source.bits <= 4 ? PackedFormat::affine4 : PackedFormat::affine8;
    target.group_size = source.group_size;
    target.zero_point = zero_point_of(context, source);
  }
  target.input_form = input_form_of(context.path, context.precision, target.format);
  target.block_bytes = block_bytes_of(target);
  const std::int64_t num_blocks =
      (std::int64_t{source.num_outputs} + kPackedOutputs - 1) / kPackedOutputs;
  target.blocks = PackedBytes(static_cast<std::size_t>(num_blocks * target.block_bytes));
  const Packer packer(source, target);
  const int num_parts = static_cast<int>(std::min<std::int64_t>(num_blocks, 1 << 10));
  context.team.run(num_parts, [&](int part) {
    const std::int64_t last = num_blocks * (part + 1) / num_parts;
    for (std::int64_t block = num_blocks * part / num_parts; block < last; ++block)
      packer.pack_block(block);
  });
  if (source.bias != nullptr) {
    target.bias =
        PackedBytes(static_cast<std::size_t>(num_blocks * kPackedOutputs) * sizeof(float));
    std::memset(target.bias.data(), 0, target.bias.size());
    std::memcpy(
        target.bias.data(),
        source.bias,
        static_cast<std::size_t>(source.num_outputs) * sizeof(float)
    );
  }
  return target;
}

void unpack_rows(const PackedLinear& weight, int first_output, int num_rows, float* out) {
  const auto* blocks = reinterpret_cast<const Byte*>(weight.blocks.data());
  for (int output = first_output; output < first_output + num_rows; ++output) {
    const Byte* block = blocks + output / kPackedOutputs * weight.block_bytes;
    const int lane = output % kPackedOutputs;
    weight.is_quantized() ? unpack_affine(weight, block, lane, out)
                          : unpack_dense(weight, block, lane, out);
    out += weight.num_columns;
  }
}

}  // namespace mlxs
