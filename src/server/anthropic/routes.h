// The handlers of Anthropic's API. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: Error, HttpError, as answer_one.
Task<void> handle_messages(const ApiContext& context, Exchange& exchange);
Task<void> handle_messages_count(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
