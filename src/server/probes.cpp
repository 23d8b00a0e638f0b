// Health is the engine's progress, not this thread's: a server whose engine hangs must not call
// itself healthy.
#include "server/probes.h"

#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

constexpr int kOk = 200;
constexpr int kUnavailable = 503;

}  // namespace

Task<void> handle_health(const ApiContext& context, Exchange& exchange) {
  const EngineHealth health = context.engine.health();
  const EngineStats stats = context.engine.stats();
  const bool is_stalled =
      health.has_pending_work && health.since_progress >= context.service.options.health_timeout;
  json::object body;
  body["status"] = is_stalled ? "stalled" : "ok";
  body["step"] = health.step;
  body["has_pending_work"] = health.has_pending_work;
  body["since_progress_ms"] = health.since_progress.count();
  body["num_running"] = stats.num_running;
  body["num_waiting"] = stats.num_waiting;
  HttpResponse response;
  response.status = is_stalled ? kUnavailable : kOk;
  response.body = json::serialize(body);
  co_await exchange.respond(std::move(response));
}

Task<void> handle_ready(const ApiContext& context, Exchange& exchange) {
  const bool is_draining = context.service.is_draining;
  HttpResponse response;
  response.status = is_draining ? kUnavailable : kOk;
  response.body = is_draining ? R"({"status":"draining"})" : R"({"status":"ready"})";
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
