// The handlers of embeddings and rankings, in every door's form. The table of all routes is in
// server/route_table.cpp.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// ERRORS: Error, HttpError, as embed().
Task<void> handle_embeddings(const ApiContext& context, Exchange& exchange);
Task<void> handle_llama_embedding(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_embed(const ApiContext& context, Exchange& exchange);
Task<void> handle_ollama_embeddings(const ApiContext& context, Exchange& exchange);

// ERRORS: as above; unsupported where the model is no reranker.
Task<void> handle_rerank(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
