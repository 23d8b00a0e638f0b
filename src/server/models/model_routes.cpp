// A body is read twice where there are several models, once for its model's name alone: what else
// is wrong with it is the handler's to say.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/models/model_host.h"
#include "server/models/routes.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

// RETURNS: empty where the body names none.
std::string named_model(std::string_view body) {
  if (body.empty()) return {};
  try {
    const json::value value = parse_json(body);
    const json::object* object = value.if_object();
    if (object == nullptr) return {};
    const json::value* name = object->if_contains("model");
    if (name == nullptr || !name->is_string()) return {};
    return std::string(name->as_string());
  } catch (const Error&) {
    return {};
  }
}

std::string required_model(const Exchange& exchange) {
  const json::value value = parse_json(exchange.request().body);
  FieldReader fields(value, "");
  const auto name = fields.string("model");
  fields.finish();
  if (!name) throw Error(ErrorCode::invalid_request, "model is required", "model");
  return std::string(*name);
}

bool is_own(const ApiContext& context, const std::string& name) {
  return std::ranges::find(context.model.names, name) != context.model.names.end();
}

HttpResponse success() { return json_response(json::object{{"success", true}}); }

}  // namespace

Task<void> run_on_its_model(const ApiContext& context, ApiHandler handler, Exchange& exchange) {
  ModelLease lease;
  if (!context.models.is_empty()) {
    const std::string name = named_model(exchange.request().body);
    if (!name.empty() && !is_own(context, name)) lease = co_await context.models.acquire(name);
  }
  co_await handler(lease ? lease->context : context, exchange);
}

Task<void> handle_model_load(const ApiContext& context, Exchange& exchange) {
  const std::string name = required_model(exchange);
  if (!is_own(context, name) && !co_await context.models.acquire(name))
    check_model_name(context.model, name);
  co_await exchange.respond(success());
}

Task<void> handle_model_unload(const ApiContext& context, Exchange& exchange) {
  const std::string name = required_model(exchange);
  if (is_own(context, name)) {
    throw Error(
        ErrorCode::unsupported, "the model that the server was started with stays loaded", "model"
    );
  }
  if (!co_await context.models.unload(name)) check_model_name(context.model, name);
  co_await exchange.respond(success());
}

}  // namespace mlxs
