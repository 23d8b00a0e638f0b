// What msl_names.inc needs of C++, before its names (device, thread, ...) become macros.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/metal/testing/harness.h"

namespace mlxs::msl {

// A `threadgroup` variable; the build writes a call of this in place of each declaration.
template <typename T>
T& group_variable(const void* site, const char* name) {
  return *static_cast<T*>(threadgroup_variable(site, sizeof(T), alignof(T), name));
}

// The column of lane 0's first element and so on: a lane has two neighbours of a row of an 8 x 8
// matrix, laid out as on the devices.
struct MatrixPlace {
  unsigned int row, column;
};
inline MatrixPlace matrix_place(unsigned int lane) {
  const unsigned int quad = lane / 4;
  return {(quad & 4U) + lane / 2 % 4, (quad & 2U) * 2 + lane % 2 * 2};
}
inline unsigned int matrix_lane(unsigned int row, unsigned int column) {
  return (row >> 2U & 1U) << 4U | (column >> 2U & 1U) << 3U | (row >> 1U & 1U) << 2U |
         (row & 1U) << 1U | (column >> 1U & 1U);
}

}  // namespace mlxs::msl
