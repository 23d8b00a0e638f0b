// Root-mean-square normalisation of the last dimension.
#pragma once

#include "kernels/mx.h"

namespace mlxs {

// x [..., D], weight [D] -> x / sqrt(mean(x^2) + eps) * weight [..., D], in the dtype of x; the sum
// is float32.
[[nodiscard]] mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps);

}  // namespace mlxs
