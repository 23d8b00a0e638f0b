// Weights of every format as a file holds them, with their values in double. Tests and benches
// only.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/linear/packed_linear.h"

namespace mlxs::testing {

struct WeightForm {
  int bits = 0;  // 0: dense
  int group_size = 0;
  ScaleType type = ScaleType::float32;  // of scales and biases, or of a dense weight
  bool is_symmetric = false;            // biases are -8 or -128 scales
};

// RETURNS: `value` rounded to the type, to the nearest even, and what is stored.
inline std::uint32_t stored_bits(float value, ScaleType type) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (type == ScaleType::float32) return bits;
  if (type == ScaleType::bfloat16) return (bits + 0x7FFFU + (bits >> 16U & 1U)) >> 16U;
  // float16 by scaling the rounding point; values of tests are within its normal range or zero.
  const float magnitude = std::fabs(value);
  const std::uint32_t sign = bits >> 31U << 15U;
  if (magnitude < 0x1p-14F) {
    return sign | static_cast<std::uint32_t>(std::nearbyint(magnitude * 0x1p24F));
  }
  const std::uint32_t rounded = (bits & 0x7FFFFFFFU) + 0xFFFU + (bits >> 13U & 1U);
  return sign | ((rounded >> 13U) - (112U << 10U));
}

inline double value_of(std::uint32_t stored, ScaleType type) {
  if (type == ScaleType::float32) return std::bit_cast<float>(stored);
  if (type == ScaleType::bfloat16) return std::bit_cast<float>(stored << 16U);
  const double sign = (stored & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>(stored >> 10U & 31U);
  const double mantissa = stored & 1023U;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                       : sign * std::ldexp(1024.0 + mantissa, exponent - 25);
}

// A weight and where its memory is.
class TestWeight {
 public:
  TestWeight(const WeightForm& form, int num_outputs, int num_columns, std::uint32_t seed)
      : form_(form), num_outputs_(num_outputs), num_columns_(num_columns), random_(seed) {
    values_.reserve(static_cast<std::size_t>(num_outputs) * static_cast<std::size_t>(num_columns));
    for (int output = 0; output < num_outputs; ++output) {
      bias_.push_back(uniform());
      form.bits == 0 ? add_dense_row() : add_affine_row();
    }
  }

  [[nodiscard]] LinearSource source(bool has_bias = false) const {
    LinearSource source{
        .weight = weight_.data(),
        .bias = has_bias ? bias_.data() : nullptr,
        .num_outputs = num_outputs_,
        .num_columns = num_columns_,
        .bits = form_.bits,
        .group_size = form_.group_size,
        .scale_type = form_.type,
        .dense_format = form_.type == ScaleType::float32   ? PackedFormat::float32
                        : form_.type == ScaleType::float16 ? PackedFormat::float16
                                                           : PackedFormat::bfloat16
    };
    if (form_.bits > 0) {
      source.scales = scales_.data();
      source.biases = biases_.data();
    }
    return source;
  }

  [[nodiscard]] const std::vector<double>& values() const { return values_; }  // [N, K]
  [[nodiscard]] const std::vector<float>& bias() const { return bias_; }       // [N]

 private:
  float uniform() { return static_cast<float>(random_() >> 8U) / 8388608.0F - 1.0F; }

  double add(std::vector<std::byte>& to, float value) {
    const std::uint32_t stored = stored_bits(value, form_.type);
    const std::size_t size = form_.type == ScaleType::float32 ? 4 : 2;
    to.resize(to.size() + size);
    std::memcpy(to.data() + to.size() - size, &stored, size);
    return value_of(stored, form_.type);
  }

  void add_dense_row() {
    for (int column = 0; column < num_columns_; ++column)
      values_.push_back(add(weight_, uniform()));
  }

  // Some groups are all zero, some tiny.
  float next_scale() {
    const std::uint32_t kind = random_() % 16;
    if (kind == 0) return 0.0F;
    return uniform() * (kind == 1 ? 0x1p-18F : 0x1p-3F);
  }

  void add_affine_row() {
    std::uint64_t buffer = 0;
    unsigned num_bits = 0;
    for (int first = 0; first < num_columns_; first += form_.group_size) {
      const double scale = add(scales_, next_scale());
      const float zero_point = form_.bits == 4 ? 8.0F : 128.0F;
      const double bias =
          add(biases_, form_.is_symmetric ? -zero_point * static_cast<float>(scale) : uniform());
      for (int column = 0; column < form_.group_size; ++column) {
        const std::uint64_t code = random_() >> (32U - static_cast<unsigned>(form_.bits));
        values_.push_back(scale * static_cast<double>(code) + bias);
        buffer |= code << num_bits;
        for (num_bits += static_cast<unsigned>(form_.bits); num_bits >= 8; num_bits -= 8) {
          weight_.push_back(static_cast<std::byte>(buffer & 0xFFU));
          buffer >>= 8U;
        }
      }
    }
  }

  WeightForm form_;
  int num_outputs_;
  int num_columns_;
  std::mt19937 random_;
  std::vector<std::byte> weight_;
  std::vector<std::byte> scales_;
  std::vector<std::byte> biases_;
  std::vector<double> values_;
  std::vector<float> bias_;
};

}  // namespace mlxs::testing
