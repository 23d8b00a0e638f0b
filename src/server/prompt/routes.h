// The handlers that say what a prompt or a constraint becomes, without running it.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// vLLM's and llama-server's shapes: which of them is asked for shows in the fields of the body.
// ERRORS: Error with the path of the field.
Task<void> handle_tokenize(const ApiContext& context, Exchange& exchange);
Task<void> handle_detokenize(const ApiContext& context, Exchange& exchange);
Task<void> handle_apply_template(const ApiContext& context, Exchange& exchange);

// How many tokens the body of a chat request has before its answer.
Task<void> handle_chat_token_count(const ApiContext& context, Exchange& exchange);

// What of a JSON schema can be kept to, how long it takes to compile, and an instance of it.
Task<void> handle_schema_check(const ApiContext& context, Exchange& exchange);

// What a request would need, and whether the model's context holds it.
Task<void> handle_estimate(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
