// The page for people, at "/". It is public; what it asks the API for needs a key as ever.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"

namespace mlxs {

// GET / and GET /ui/{file}.
Task<void> handle_page(const ApiContext& context, Exchange& exchange);

}  // namespace mlxs
