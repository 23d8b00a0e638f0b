// Runs the handler of a route and tells the client what it threw.
#pragma once

#include <chrono>

#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

enum class DispatchEnd {
  answered,
  broken,  // the client is gone, or was told half of an answer
};

// Never throws what a handler may throw.
Task<DispatchEnd> dispatch(HttpService& service, const Route& route, Exchange& exchange);

// Writes the one line of the log that every request has, and counts it. `route` is null where none
// was found.
void note_request(
    const HttpService& service,
    const Exchange& exchange,
    const Route* route,
    std::chrono::nanoseconds elapsed
);

}  // namespace mlxs
