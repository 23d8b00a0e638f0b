// GET /health and GET /ready: what supervisors and load balancers ask. They add no work to the
// engine.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

Task<void> handle_health(const ApiContext& context, Exchange& exchange);
Task<void> handle_ready(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
