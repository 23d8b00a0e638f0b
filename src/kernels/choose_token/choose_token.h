// From logits to tokens on the CPU as one primitive. MLX's sorts of a whole vocabulary would take
// longer than a step of a small model.
#pragma once

#include <memory>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/mx.h"

namespace mlxs {

struct ChosenTokens {
  mx::array tokens;  // [B] int32, in [0, V)
  mx::array valid;   // [B] bool: `raw` has no NaN, no +infinity, and some value above -infinity
};

// adjusted [B, V] float32, what is chosen from; raw [B, V] float32, what the model gave, may be the
// same array; a rule for each row. `cpu` may be null: one thread, on the best path, does it then.
// A row's token does not depend on the other rows. REQUIRES: the current device is the CPU. ERRORS:
// std::invalid_argument for shapes that do not fit.
[[nodiscard]] ChosenTokens choose_tokens(
    const mx::array& adjusted,
    const mx::array& raw,
    std::vector<TokenRule> rules,
    const std::shared_ptr<CpuContext>& cpu
);

}  // namespace mlxs
