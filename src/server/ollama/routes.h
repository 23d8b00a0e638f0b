// The handlers of Ollama's API. The table of all routes is in server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: Error, HttpError, as answer_one.
Task<void> handle_ollama_chat(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_generate(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_tags(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_running(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_show(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_version(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
