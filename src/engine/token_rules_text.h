// From what a request says in words to rules about token ids.
#pragma once

#include <memory>

#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "sampling/token_rules.h"

namespace mlxs {

// RETURNS: null where the request has no such rule. ERRORS: invalid_value where the rules leave no
// token, or a breaker of DRY is within no token.
[[nodiscard]] std::shared_ptr<const TokenRules> make_token_rules(
    const Request& request, const ModelInfo& info, const TextModel& text
);

}  // namespace mlxs
