// The handlers of llama-server's own API. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: Error, HttpError, as answer_one.
Task<void> handle_llama_completion(const ApiContext& context, Exchange& exchange);
Task<void> handle_llama_props(const ApiContext& context, Exchange& exchange);
Task<void> handle_llama_slots(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
