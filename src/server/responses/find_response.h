// A stored response of whoever asks.
#pragma once

#include <string>

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/responses/response_store.h"

namespace mlxs {

// ERRORS: HttpError 404, which is the same for one that is not there and one of somebody else.
Task<StoredResponse> find_response(
    const ApiContext& context, const Exchange& exchange, const std::string& id
);

[[noreturn]] void throw_no_response(const std::string& id);

}  // namespace mlxs
