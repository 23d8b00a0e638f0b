// A named key sees its own requests only.
#include <cstddef>
#include <optional>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/inspect/request_log.h"
#include "server/inspect/routes.h"
#include "server/inspect/timeline.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

constexpr std::size_t kNumNewest = 24;

bool may_see(const HttpRequest& caller, const RequestRecord& record) {
  return caller.owner.empty() || caller.share == record.share;
}

json::object stats_object(const EngineStats& stats) {
  return {
      {"running", stats.num_running},
      {"waiting", stats.num_waiting},
      {"max_sequences", stats.max_sequences},
      {"pages", stats.num_pages},
      {"free_pages", stats.num_free_pages},
      {"cached_pages", stats.num_cached_pages},
      {"page_tokens", stats.page_size},
      {"steps", stats.num_steps},
      {"step_tokens", stats.num_step_tokens},
      {"steps_in_flight", stats.num_in_flight_steps},
      {"failed_steps", stats.num_failed_steps},
      {"preemptions", stats.num_preemptions},
      {"prompt_tokens", stats.num_prompt_tokens},
      {"cached_tokens", stats.num_cached_tokens},
      {"requests_finished", stats.num_requests_finished},
      {"device_busy_ms", stats.ring.busy_ms},
      {"device_idle_share", stats.device_idle_share},
      {"prefill_budget", stats.scheduler.prefill_budget},
      {"predicted_decode_ms", stats.scheduler.predicted_decode_ms},
  };
}

}  // namespace

Task<void> handle_request_get(const ApiContext& context, Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  const std::optional<RequestRecord> record = context.requests.find(request.tail);
  if (!record || !may_see(request, *record)) {
    throw HttpError(client_fault(
        404, "the request " + log_safe(request.tail) + " is not among the newest, which are kept"
    ));
  }
  co_await exchange.respond(json_response(timeline_object(*record)));
}

Task<void> handle_status(const ApiContext& context, Exchange& exchange) {
  const EngineHealth health = context.engine.health();
  json::object model;
  model["name"] = context.model.names.front();
  model["family"] = context.model.info.family;
  model["quantization"] = context.model.info.quantization;
  model["context_length"] = context.model.info.context_length;
  json::array requests;
  for (const RequestRecord& record : context.requests.newest(kNumNewest)) {
    if (may_see(exchange.request(), record)) requests.push_back(timeline_object(record));
  }
  json::object body;
  body["object"] = "status";
  body["version"] = MLXS_VERSION;
  body["model"] = std::move(model);
  body["connections"] = context.service.connections.size();
  body["since_progress_ms"] = health.since_progress.count();
  body["engine"] = stats_object(context.engine.stats());
  body["requests"] = std::move(requests);
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
