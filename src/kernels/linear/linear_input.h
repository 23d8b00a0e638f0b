// Rows of activations in the forms that packed_linear() multiplies: made once, shared by all
// products of the same rows (q, k and v; gate and up).
#pragma once

#include <cstdint>

#include "kernels/cpu/cpu_context.h"
#include "kernels/cpu/scratch_arena.h"

namespace mlxs {

// Activations are quantized in groups of so many columns.
inline constexpr int kInputGroup = 32;

// What a product reads. A set of them says what an input has.
enum class InputForm : std::uint8_t { float32 = 1, int8 = 2, int16 = 4 };
using InputForms = std::uint8_t;

[[nodiscard]] constexpr InputForms operator|(InputForm a, InputForm b) {
  return static_cast<InputForms>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

[[nodiscard]] constexpr bool has_form(InputForms forms, InputForm form) {
  return (forms & static_cast<unsigned>(form)) != 0;
}

// x[t, k] = scales[t, k / 32] * codes[t, k]. A group with an infinity or a NaN has such a scale.
template <typename Code>
struct QuantizedRows {
  Code* codes = nullptr;    // [num_rows, num_columns]; int16: each four columns as 0, 2, 1, 3
  float* scales = nullptr;  // [num_rows, num_columns / 32]
  float* sums = nullptr;    // [num_rows, num_columns / 32]: scale * sum of the group's codes
  std::int32_t* code_sums = nullptr;  // [num_rows, num_columns / 32]
};

struct LinearInput {
  int num_rows = 0;
  int num_columns = 0;  // a multiple of kInputGroup where a form is quantized
  InputForms forms = 0;
  const float* x = nullptr;  // [num_rows, num_columns]; read by the form float32
  QuantizedRows<std::int8_t> int8 = {};
  QuantizedRows<std::int16_t> int16 = {};
};

// RETURNS: an input whose quantized forms have room in the arena, not filled.
[[nodiscard]] LinearInput make_linear_input(
    ScratchArena& scratch, InputForms forms, int num_rows, int num_columns
);

// Fills the quantized forms of rows [first_row, last_row) from `x` [num_rows, num_columns], on this
// thread. A row's codes depend on that row only.
void quantize_rows(
    CpuPath path, const float* x, int first_row, int last_row, const LinearInput& input
);

// Sets input.x and fills all its forms, with the team.
void prepare_input(CpuContext& context, const float* x, LinearInput& input);

}  // namespace mlxs
