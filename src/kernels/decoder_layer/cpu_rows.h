// How work on rows is dealt to a team: what takes a few microseconds stays on the thread at hand.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/cpu_context.h"

namespace mlxs {

// Calls body(first_row, last_row) for runs of rows that cover [0, num_rows).
template <typename Body>
void for_rows(CpuContext& context, int num_rows, int num_columns, const Body& body) {
  constexpr std::int64_t kValuesWorthATeam = 1 << 13;
  if (num_rows < 2 || std::int64_t{num_rows} * num_columns < kValuesWorthATeam)
    return body(0, num_rows);
  const int wanted = std::min(num_rows, 4 * context.team.num_threads());
  const int rows_per_part = (num_rows + wanted - 1) / wanted;
  context.team.run((num_rows + rows_per_part - 1) / rows_per_part, [&](int part) {
    const int first = part * rows_per_part;
    body(first, std::min(first + rows_per_part, num_rows));
  });
}

}  // namespace mlxs
