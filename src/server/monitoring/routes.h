// The routes for those who watch the server. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// GET /metrics. ERRORS: HttpError 400 for unknown `names`.
Task<void> handle_metrics(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
