// 32 quantized activations of a row, as the kernels read them: x[k] = scale * codes[k]. Only what
// every kernel file may include.
#pragma once

#include <cstdint>

namespace mlxs {

// Activations are quantized in groups of so many columns.
inline constexpr int kInputGroup = 32;

// A group with an infinity or a NaN has a NaN as its scale.
template <typename Code>
struct alignas(16) InputGroup {
  Code codes[kInputGroup];  // int16: each four columns as 0, 2, 1, 3
  float scale;
  float sum;              // scale * code_sum
  std::int32_t code_sum;  // of the codes
  std::int32_t unused;
};

using InputGroup8 = InputGroup<std::int8_t>;
using InputGroup16 = InputGroup<std::int16_t>;

}  // namespace mlxs
