// GET /v1/models and GET /v1/models/{id}.
#include <string>
#include <string_view>
#include <utility>

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/openai/routes.h"

namespace mlxs {
namespace {

json::object model_object(const ApiModel& model, std::string_view name) {
  json::object object;
  object["id"] = to_json_view(name);
  object["object"] = "model";
  object["created"] = model.created;
  object["owned_by"] = "mlx-serving";
  object["context_length"] = model.info.context_length;
  return object;
}

}  // namespace

Task<void> handle_model_list(const ApiContext& context, Exchange& exchange) {
  json::array models;
  for (const std::string& name : context.model.names)
    models.push_back(model_object(context.model, name));
  json::object body;
  body["object"] = "list";
  body["data"] = std::move(models);
  HttpResponse response;
  response.body = json::serialize(body);
  co_await exchange.respond(std::move(response));
}

Task<void> handle_model(const ApiContext& context, Exchange& exchange) {
  const std::string& name = exchange.request().tail;
  check_model_name(context.model, name);
  HttpResponse response;
  response.body = json::serialize(model_object(context.model, name));
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
