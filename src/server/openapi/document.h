// The OpenAPI 3.1 document of the server, made of its routes.
#pragma once

#include <vector>

#include "base/json.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: std::logic_error for a route without a description, and for a description without a
// route.
[[nodiscard]] json::object openapi_document(const std::vector<Route>& routes);

// GET /openapi.json.
Task<void> handle_openapi(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
