// The gated activation between an MLP's projections.
#pragma once

#include "kernels/layer_spec.h"
#include "kernels/mx.h"

namespace mlxs {

// gate, up [T, F] -> activation(gate) * up [T, F], in their dtype.
[[nodiscard]] mx::array gated_activation(
    const mx::array& gate, const mx::array& up, Activation activation
);

}  // namespace mlxs
