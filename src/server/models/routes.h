// Routes that load and unload models, and the way of every other request to the model it names.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

using ApiHandler = Task<void> (*)(const ApiContext&, Exchange&);

// Runs `handler` on the model that the request's body names, which is loaded first where it has to
// be; on the server's own model where it names none, or one that is not known.
Task<void> run_on_its_model(const ApiContext& context, ApiHandler handler, Exchange& exchange);

// POST /models/load and /models/unload with {"model": name}, as llama-server has them.
// ERRORS: model_not_found; unsupported for unloading the server's own model.
Task<void> handle_model_load(const ApiContext& context, Exchange& exchange);
Task<void> handle_model_unload(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
