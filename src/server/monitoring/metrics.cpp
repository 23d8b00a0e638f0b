// GET /metrics: everything that is counted, in Prometheus' text format. ?names=own or vllm leaves
// the others' names out.
#include <array>
#include <string>
#include <utility>

#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/query.h"
#include "server/http/task.h"
#include "server/monitoring/routes.h"
#include "telemetry/exposition.h"

namespace mlxs {
namespace {

MetricNames names_of(const HttpRequest& request) {
  const std::string names = query_value(request.query, "names").value_or("all");
  if (names == "all") return MetricNames::all;
  if (names == "own") return MetricNames::own;
  if (names == "vllm") return MetricNames::vllm;
  HttpFault fault = client_fault(400, "names must be all, own or vllm", "invalid_value");
  fault.param = "names";
  throw HttpError(std::move(fault));
}

}  // namespace

Task<void> handle_metrics(const ApiContext& context, Exchange& exchange) {
  const MetricNames names = names_of(exchange.request());
  const std::array models = {ModelFigures{
      .collector = context.engine.collector(),
      .info = context.engine.model(),
      .stats = context.engine.stats()
  }};
  HttpResponse response;
  response.content_type = kExpositionType;
  response.body =
      exposition(models, {.http = context.service.metrics, .energy = context.energy}, names);
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
