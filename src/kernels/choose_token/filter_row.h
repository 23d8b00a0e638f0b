// One row of logits to one token through filters of any order, on the host: what choose_row.h's
// fast path does not know. It sorts, and it allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mlx_serving/sampling.h"

namespace mlxs {

inline constexpr std::size_t kNumSamplerKinds = 7;

// A row's filters; the meaning of each is in mlx_serving/sampling.h. Each sees what the ones before
// it left.
struct FilterRule {
  std::array<SamplerKind, kNumSamplerKinds> order = {};
  std::size_t num_filters = 0;  // of `order`
  float temperature = 1.0F;     // above 0
  float dynatemp_range = 0.0F;
  float dynatemp_exponent = 1.0F;
  int top_k = 0;
  float top_p = 1.0F;
  float min_p = 0.0F;
  float typical_p = 1.0F;
  float top_n_sigma = 0.0F;
  float xtc_probability = 0.0F;
  float xtc_threshold = 0.1F;
  int mirostat = 0;          // its version; then `order` is the temperature alone
  float mirostat_mu = 0.0F;  // bits
  float uniform = 0.0F;      // in [0, 1), of the draw
  float xtc_uniform = 0.0F;  // in [0, 1), of XTC
};

struct FilteredToken {
  std::int32_t token = 0;
  float surprise = 0.0F;  // -log2 of its probability among what was left
};

// RETURNS: a token in [0, V): of what the filters leave, the first in order of ids at which the
// cumulated weight exceeds uniform * total. For logits without a finite largest value any token.
// `kept` [V] or empty: gets the logits of what was left, as the last filter had them, -infinity for
// the others.
[[nodiscard]] FilteredToken filter_row(
    std::span<const float> logits, const FilterRule& rule, std::span<float> kept
);

}  // namespace mlxs
