// The handlers of OpenAI's API. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// One handler a file. ERRORS: Error, HttpError, as answer_call.
Task<void> handle_chat(const ApiContext& context, Exchange& exchange);
Task<void> handle_completion(const ApiContext& context, Exchange& exchange);
Task<void> handle_model_list(const ApiContext& context, Exchange& exchange);
Task<void> handle_model(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
