// Writes rows of keys or values into a page pool, in place.
#pragma once

#include "kernels/kv_pages.h"
#include "kernels/mx.h"

namespace mlxs {

// rows [T, Hkv, D] of any float dtype, slots [T] int32 (page * S + offset), pool [P, S, Hkv, D] ->
// the pool with row t stored at slot t. The result shares the pool's buffer: on the CPU the write
// happens in place however many references to the pool exist, so every older view of it changes
// too. The data dependency orders the steps. On a GPU the reference is MLX's scatter, which is in
// place only while nothing else refers to the pool. REQUIRES: the pool is row-major; slots are
// distinct. ERRORS: std::invalid_argument for shapes that do not fit; at evaluation
// std::out_of_range for a slot outside of the pool, before anything is written.
[[nodiscard]] mx::array store_kv(
    const mx::array& pool, const mx::array& rows, const mx::array& slots
);

// Stores keys and values [T, Hkv, D] of any float dtype in a layer, whose arrays are replaced by
// their successors; quantized first where the layer is. Otherwise as above.
void store_kv(
    KvLayer& pool, const mx::array& keys, const mx::array& values, const mx::array& slots
);

struct QuantizedRows {
  mx::array rows;    // [T, Hkv, D] int8 in [-127, 127]
  mx::array scales;  // [T, Hkv, 1] float32
};

// rows [T, Hkv, D] of any float dtype ~ result.rows * result.scales. A head with a value that is
// not finite gets a scale that is not finite, so that attention's result shows it.
[[nodiscard]] QuantizedRows quantize_kv(const mx::array& rows);

// The reference in plain MLX operations: same values, but a new array.
[[nodiscard]] mx::array store_kv_reference(
    const mx::array& pool, const mx::array& rows, const mx::array& slots
);

}  // namespace mlxs
