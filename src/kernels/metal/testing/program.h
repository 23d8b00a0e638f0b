// The program of Metal kernels for one set of the MLXS_ macros, and values for its tests. In one
// source of a program only: kernels are no inline functions. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "kernels/metal/testing/msl_host.h"

// As the parts of a program follow each other on a device.
// clang-format off
namespace metal_kernels {
#include "kernels/metal/testing/msl_names.inc"
#include "kernels/metal/params.inc"
#include "kernels/metal/common.metal"
#include "kernels/linear/linear.metal"
#include "kernels/rms_norm/rms_norm.metal"
#include "kernels/embedding/embedding.metal"
#include "kernels/rope/rope.metal"
#include "kernels/swiglu/swiglu.metal"
#include "kernels/choose_token/choose_token.metal"
#include "kernels/paged_attention/attention.metal"
#include "kernels/store_kv/store_kv.metal"
#include "kernels/paged_attention/decode_attention.metal"
#include "kernels/paged_attention/prefill_attention.metal"
#include "kernels/metal/testing/msl_end.inc"
}  // namespace metal_kernels
// clang-format on

namespace mlxs::msl {

namespace mk = metal_kernels;
using mk::Half;
using mk::kHeadDim;
using mk::kHeads;

using Halves = std::vector<Half>;
inline constexpr double kHalfError = MLXS_HALF == 0 ? 1.0 / 128 : 1.0 / 1024;

class Random {
 public:
  explicit Random(unsigned int seed) : generator_(seed) {}
  double operator()() { return static_cast<double>(generator_() >> 8) / 8388608.0 - 1.0; }
  unsigned int word() { return static_cast<unsigned int>(generator_()); }
  Halves halves(std::size_t num_values, double spread = 1.0) {
    Halves values(num_values);
    for (Half& value : values) value = Half(static_cast<float>(spread * (*this)()));
    return values;
  }

 private:
  std::mt19937 generator_;
};

inline double value(Half half) { return static_cast<float>(half); }

inline void expect_near(double actual, double expected, double scale, const char* what, int at) {
  ASSERT_NEAR(actual, expected, kHalfError * std::max(scale, std::abs(expected)))
      << what << " at " << at;
}

// A weight of N rows and K columns as the kernel takes it, and its values.
struct Weight {
  Halves dense, scales, biases;
  std::vector<unsigned int> words;
  std::vector<double> values;
};

inline Weight make_weight(int num_outputs, int num_columns, Random& random) {
  Weight weight;
  const auto size = static_cast<std::size_t>(num_outputs) * static_cast<std::size_t>(num_columns);
#if MLXS_WEIGHT_BITS == 16
  weight.dense = random.halves(size);
  for (const Half bits : weight.dense) weight.values.push_back(value(bits));
#else
  weight.scales = random.halves(size / MLXS_GROUP_SIZE, 1.6 / (1 << MLXS_WEIGHT_BITS));
  weight.biases = random.halves(size / MLXS_GROUP_SIZE);
  constexpr std::size_t kPerWord = 32 / MLXS_WEIGHT_BITS;
  for (std::size_t i = 0; i < size / kPerWord; ++i) weight.words.push_back(random.word());
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned int whole = (weight.words[i / kPerWord] >> (i % kPerWord * MLXS_WEIGHT_BITS)) &
                               ((1U << MLXS_WEIGHT_BITS) - 1);
    const std::size_t group = i / MLXS_GROUP_SIZE;
    weight.values.push_back(value(weight.scales[group]) * whole + value(weight.biases[group]));
  }
#endif
  return weight;
}

}  // namespace mlxs::msl
