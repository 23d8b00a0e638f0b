// Runs a call on the engine and writes its reply, whole or as server-sent events.
#pragma once

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/call.h"
#include "server/openai/reply.h"

namespace mlxs {

// ERRORS: Error before the first byte was sent; a later one is reported within the stream, which
// then ends without [DONE]. ConnectionLost; boost::system::system_error where the client hung up.
Task<void> answer_call(
    const ApiContext& context, Exchange& exchange, Call call, const ReplyFormat& format
);

}  // namespace mlxs
