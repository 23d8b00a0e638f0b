// Serves the requests of one connection, one after the other.
#pragma once

#include <memory>

#include "server/http/connection.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

enum class Admission {
  serve,
  refuse,  // too many connections: the first request is answered with 503
};

// Reads, checks, routes and answers until the client leaves or an answer ends the connection; never
// throws. REQUIRES: `service` outlives it; runs on the connection's executor.
Task<void> run_session(
    HttpService& service, std::shared_ptr<Connection> connection, Admission admission
);

}  // namespace mlxs
