// From logits to tokens on the CPU as one primitive. MLX's sorts of a whole vocabulary would take
// longer than a step of a small model.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/choose_token/filter_row.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/mx.h"

namespace mlxs {

struct ChooseRule {
  TokenRule plain;
  std::optional<FilterRule> filters = {};  // set: by filter_row, and `plain` is not looked at
  bool is_kept = false;                    // what the filters left is told
};

struct ChosenTokens {
  mx::array tokens;     // [B] int32, in [0, V)
  mx::array valid;      // [B] bool: `raw` has no NaN, no +infinity, and some value above -infinity
  mx::array surprises;  // [B] float32: FilteredToken::surprise; 0 for rows without filters
  // [K, V] float32, in the order of the rows that are kept: the logits of what was left, -infinity
  // for the others. K = 0 where no row is.
  mx::array kept;
};

// adjusted [B, V] float32, what is chosen from; raw [B, V] float32, what the model gave, may be the
// same array; a rule for each row. `cpu` may be null: one thread, on the best path, does it then.
// A row's token does not depend on the other rows. REQUIRES: the current device is the CPU. ERRORS:
// std::invalid_argument for shapes that do not fit.
[[nodiscard]] ChosenTokens choose_tokens(
    const mx::array& adjusted,
    const mx::array& raw,
    std::vector<ChooseRule> rules,
    const std::shared_ptr<CpuContext>& cpu
);

}  // namespace mlxs
