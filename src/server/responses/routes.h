// The handlers of OpenAI's Responses API. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: Error, HttpError, as answer_one.
Task<void> handle_response_create(const ApiContext& context, Exchange& exchange);
Task<void> handle_response_get(const ApiContext& context, Exchange& exchange);
Task<void> handle_response_cancel(const ApiContext& context, Exchange& exchange);
Task<void> handle_response_delete(const ApiContext& context, Exchange& exchange);
Task<void> handle_response_input_items(const ApiContext& context, Exchange& exchange);
Task<void> handle_response_token_count(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
