// GET /health and GET /ready: what supervisors and load balancers ask. They add no work to the
// engine.
#pragma once

#include <vector>

#include "mlx_serving/engine.h"
#include "server/http/router.h"
#include "server/http/service.h"

namespace mlxs {

// REQUIRES: engine and service outlive the routes.
[[nodiscard]] std::vector<Route> probe_routes(const Engine& engine, const HttpService& service);

}  // namespace mlxs
