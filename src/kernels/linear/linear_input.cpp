// Quantizing rows: one kernel call a row and form.
#include "kernels/linear/linear_input.h"

#include <algorithm>
#include <cstddef>

#include "kernels/linear/packed_dispatch.h"
#include "kernels/linear/packed_kernel.h"

namespace mlxs {
namespace {

template <typename Code>
QuantizedRows<Code> make_rows(
    ScratchArena& scratch, std::size_t num_rows, std::size_t num_columns
) {
  const std::size_t num_groups = num_rows * (num_columns / kInputGroup);
  return {
      .codes = scratch.take<Code>(num_rows * num_columns),
      .scales = scratch.take<float>(num_groups),
      .sums = scratch.take<float>(num_groups),
      .code_sums = scratch.take<std::int32_t>(num_groups)
  };
}

template <typename Code>
QuantizeProblem problem_of(
    const QuantizedRows<Code>& rows, const float* x, std::int64_t row, std::int64_t num_columns
) {
  const std::int64_t num_groups = num_columns / kInputGroup;
  return {
      .x = x + row * num_columns,
      .num_groups = num_groups,
      .codes = rows.codes + row * num_columns,
      .scales = rows.scales + row * num_groups,
      .sums = rows.sums + row * num_groups,
      .code_sums = rows.code_sums + row * num_groups
  };
}

}  // namespace

LinearInput make_linear_input(
    ScratchArena& scratch, InputForms forms, int num_rows, int num_columns
) {
  LinearInput input{.num_rows = num_rows, .num_columns = num_columns, .forms = forms};
  const auto rows = static_cast<std::size_t>(num_rows);
  const auto columns = static_cast<std::size_t>(num_columns);
  if (has_form(forms, InputForm::int8)) input.int8 = make_rows<std::int8_t>(scratch, rows, columns);
  if (has_form(forms, InputForm::int16))
    input.int16 = make_rows<std::int16_t>(scratch, rows, columns);
  return input;
}

void quantize_rows(
    CpuPath path, const float* x, int first_row, int last_row, const LinearInput& input
) {
  const PackedKernels kernels = packed_kernels(path);
  for (std::int64_t row = first_row; row < last_row; ++row) {
    if (has_form(input.forms, InputForm::int8))
      kernels.quantize8(problem_of(input.int8, x, row, input.num_columns));
    if (has_form(input.forms, InputForm::int16))
      kernels.quantize16(problem_of(input.int16, x, row, input.num_columns));
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
