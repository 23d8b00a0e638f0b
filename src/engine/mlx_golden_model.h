// The two-layer golden models, for tests of what runs them.
#pragma once

#include <string_view>

#include "model/model.h"

namespace mlxs::testing {

// RETURNS: the model of tests/golden/models of this name. ERRORS: std::logic_error where there is
// none.
[[nodiscard]] Model load_golden_model(std::string_view name);

}  // namespace mlxs::testing
