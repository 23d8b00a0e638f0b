// Rotary position embedding by tables: the cosines and sines of a step are computed once and shared
// by its layers.
#pragma once

#include "kernels/layer_spec.h"
#include "kernels/mx.h"

namespace mlxs {

struct RopeTables {
  mx::array cos;  // [T, num_dims / 2] float32, multiplied by attention_factor
  mx::array sin;  // [T, num_dims / 2] float32, multiplied by attention_factor
};

// positions [T] int32, long_rows [T] bool: rows that take inv_freq_long where the spec has it.
[[nodiscard]] RopeTables rope_tables(
    const mx::array& positions, const mx::array& long_rows, const RopeSpec& spec
);

// x [T, H, D] -> [T, H, D]: dimension i < num_dims / 2 is rotated with dimension i + num_dims / 2;
// the rest passes. The rotation is computed in float32. REQUIRES: num_dims <= D.
[[nodiscard]] mx::array apply_rope(const mx::array& x, const RopeTables& tables);

}  // namespace mlxs
