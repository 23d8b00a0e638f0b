// The end of the forward pass: final norm, output projection and soft cap of the rows asked for.
#pragma once

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

struct OutputHead {
  mx::array norm;  // [E]
  Linear output;   // [V, E]
  float norm_eps = 0.0F;
  float soft_cap = 0.0F;  // 0: off
};

// hidden [R, E] -> logits [R, V] float32. On the CPU one primitive where the weight is packed and
// hidden is float32. A row's logits have the same bits in every batch there.
[[nodiscard]] mx::array output_head(const mx::array& hidden, const OutputHead& head);

// The reference in plain operations.
[[nodiscard]] mx::array output_head_reference(const mx::array& hidden, const OutputHead& head);

}  // namespace mlxs
