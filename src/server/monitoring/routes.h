// The routes for those who watch the server. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// GET /metrics. ERRORS: HttpError 400 for unknown `names`.
Task<void> handle_metrics(const ApiContext& context, Exchange& exchange);

// POST /debug/profile: what the engine does in the next ?seconds=, 0.1 to 60, 1 unless said, as a
// trace for Perfetto. ERRORS: HttpError 400 for other seconds; 409 while a profile is being taken.
Task<void> handle_profile(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
