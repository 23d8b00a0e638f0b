// What the handlers of all doors share.
#pragma once

#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "server/http/service.h"
#include "server/offload.h"
#include "server/openai/api_model.h"
#include "server/server_options.h"

namespace mlxs {

class BackgroundJobs;
class ResponseStore;

// REQUIRES: what it refers to outlives it.
struct ApiContext {
  Engine& engine;
  HttpService& service;
  ApiModel model;
  Offload& offload;
  ResponseStore& responses;
  BackgroundJobs& jobs;
  Pooling pooling = Pooling::mean;  // of embeddings
  RerankUse rerank = RerankUse::automatic;
};

}  // namespace mlxs
