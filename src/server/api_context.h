// What the handlers of all doors share.
#pragma once

#include <memory>

#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"
#include "server/http/service.h"
#include "server/offload.h"
#include "server/openai/api_model.h"
#include "server/server_options.h"

namespace mlxs {

class BackgroundJobs;
class EnergyMeter;
class ModelHost;
class RequestLog;
class ResponseStore;

// REQUIRES: what it refers to outlives it.
struct ApiContext {
  Engine& engine;
  HttpService& service;
  ApiModel model;
  Offload& offload;
  ResponseStore& responses;
  BackgroundJobs& jobs;
  const EnergyMeter& energy;
  RequestLog& requests;
  ModelHost& models;
  Pooling pooling = Pooling::mean;  // of embeddings
  RerankUse rerank = RerankUse::automatic;
  // Where the model may be unloaded: keeps it while locked.
  std::weak_ptr<const void> owner = {};
};

}  // namespace mlxs
