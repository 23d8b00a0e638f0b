// GET /v1/ws: every route of the server over one WebSocket.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// Requests run next to each other, each with the client's id; see message.h for the messages.
// Returns when the client leaves, which cancels what still runs.
Task<void> handle_web_socket(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
