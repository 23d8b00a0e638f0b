// Rows of a packed table on the CPU, as one primitive: a table that is also the output projection
// exists once.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// tokens [T] int32 -> [T, K] float32. REQUIRES: as embedding(); a packed table.
[[nodiscard]] mx::array embedding_cpu(const mx::array& tokens, const Linear& table);

// The same on plain memory, with the team: out [num_tokens, K].
void embedding_rows(
    CpuContext& context, const PackedLinear& table, std::span<const std::int32_t> tokens, float* out
);

}  // namespace mlxs
