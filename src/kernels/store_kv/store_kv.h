// Writes rows of keys or values into a page pool, in place.
#pragma once

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

// The reference in plain MLX operations: same values, but a new array.
[[nodiscard]] mx::array store_kv_reference(
    const mx::array& pool, const mx::array& rows, const mx::array& slots
);

}  // namespace mlxs
