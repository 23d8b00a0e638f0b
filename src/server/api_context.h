// What the handlers of all doors share.
#pragma once

#include "mlx_serving/engine.h"
#include "server/http/service.h"
#include "server/offload.h"
#include "server/openai/api_model.h"

namespace mlxs {

// REQUIRES: engine, service and offload outlive it.
struct ApiContext {
  Engine& engine;
  HttpService& service;
  ApiModel model;
  Offload& offload;
};

}  // namespace mlxs
