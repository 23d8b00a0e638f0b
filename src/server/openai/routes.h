// The routes of OpenAI's API.
#pragma once

#include <vector>

#include "server/http/router.h"
#include "server/openai/answer.h"

namespace mlxs {

// REQUIRES: the context outlives the routes.
[[nodiscard]] std::vector<Route> openai_routes(const ApiContext& context);

// One handler a file. ERRORS: Error, HttpError, as answer_call.
Task<void> handle_chat(const ApiContext& context, Exchange& exchange);
Task<void> handle_completion(const ApiContext& context, Exchange& exchange);
Task<void> handle_model_list(const ApiContext& context, Exchange& exchange);
Task<void> handle_model(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
