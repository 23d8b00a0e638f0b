// The one table of routes: every door's paths, with who may ask and what answers.
#pragma once

#include <vector>

#include "server/api_context.h"
#include "server/http/router.h"

namespace mlxs {

// REQUIRES: the context outlives the routes.
[[nodiscard]] std::vector<Route> all_routes(const ApiContext& context);

}  // namespace mlxs
