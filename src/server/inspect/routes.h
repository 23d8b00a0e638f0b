// The routes that look into the engine: one request's timeline, and what the engine does now.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// GET /v1/requests/{id}. ERRORS: HttpError 404 for an id that is unknown, too old, or of another
// key.
Task<void> handle_request_get(const ApiContext& context, Exchange& exchange);

// GET /v1/status.
Task<void> handle_status(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
