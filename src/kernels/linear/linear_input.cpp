// Quantizing rows: one kernel call a row and form.
#include "kernels/linear/linear_input.h"

#include <algorithm>
#include <cstddef>

#include "kernels/linear/packed_dispatch.h"
#include "kernels/linear/packed_kernel.h"

namespace mlxs {
LinearInput make_linear_input(
    ScratchArena& scratch, InputForms forms, int num_rows, int num_columns
) {
  LinearInput input{.num_rows = num_rows, .num_columns = num_columns, .forms = forms};
  const std::size_t num_groups =
      static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(num_columns / kInputGroup);
  if (has_form(forms, InputForm::int8)) input.int8 = scratch.take<InputGroup8>(num_groups);
  if (has_form(forms, InputForm::int16)) input.int16 = scratch.take<InputGroup16>(num_groups);
  return input;
}

void quantize_rows(
    CpuPath path, const float* x, int first_row, int last_row, const LinearInput& input
) {
  const PackedKernels kernels = packed_kernels(path);
  const std::int64_t num_groups = input.num_columns / kInputGroup;
  for (std::int64_t row = first_row; row < last_row; ++row) {
    const float* from = x + row * input.num_columns;
    if (has_form(input.forms, InputForm::int8))
      kernels.quantize8(from, num_groups, input.int8 + row * num_groups);
    if (has_form(input.forms, InputForm::int16))
      kernels.quantize16(from, num_groups, input.int16 + row * num_groups);
  }
}

void prepare_input(CpuContext& context, const float* x, LinearInput& input) {
  constexpr int kValuesWorthAPart = 1 << 13;
  input.x = x;
  const int rows_per_part = std::max(1, kValuesWorthAPart / std::max(1, input.num_columns));
  const int num_parts = std::min((input.num_rows + rows_per_part - 1) / rows_per_part, 1 << 12);
  context.team.run(num_parts, [&](int part) {
    const std::int64_t num_rows = input.num_rows;
    quantize_rows(
        context.path,
        x,
        static_cast<int>(num_rows * part / num_parts),
        static_cast<int>(num_rows * (part + 1) / num_parts),
        input
    );
  });
}

}  // namespace mlxs
