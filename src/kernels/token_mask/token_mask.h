// Takes tokens that may not come out of a distribution, before anything is chosen from it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/mx.h"

namespace mlxs {

// A bit for each token that may come: id i is bit i % 32 of word i / 32. Tokens beyond the words
// may not. Empty: every token may.
using TokenMask = std::span<const std::uint32_t>;

// logits [B, V] float32, a mask for each row -> [B, V] with -infinity for what may not come. The
// masks are read before this returns. The same array when no row has a mask. On the CPU one
// primitive, elsewhere the reference. `cpu` may be null: one thread does it then.
// ERRORS: std::invalid_argument for shapes that do not fit.
[[nodiscard]] mx::array apply_token_masks(
    const mx::array& logits,
    const std::vector<TokenMask>& masks,
    const std::shared_ptr<CpuContext>& cpu
);

// The reference in plain MLX operations, on any device.
[[nodiscard]] mx::array apply_token_masks_reference(
    const mx::array& logits, const std::vector<TokenMask>& masks
);

}  // namespace mlxs
