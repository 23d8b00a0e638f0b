// GET /v1/models and GET /v1/models/{id}.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/models/model_host.h"
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

// What is not loaded has no facts yet.
json::object listing_object(const ApiModel& own, const ModelListing& listing) {
  json::object object;
  object["id"] = listing.name;
  object["object"] = "model";
  object["created"] = own.created;
  object["owned_by"] = "mlx-serving";
  object["is_loaded"] = listing.is_loaded;
  return object;
}

}  // namespace

Task<void> handle_model_list(const ApiContext& context, Exchange& exchange) {
  json::array models;
  for (const std::string& name : context.model.names)
    models.push_back(model_object(context.model, name));
  for (const ModelListing& listing : context.models.list())
    models.push_back(listing_object(context.model, listing));
  json::object body;
  body["object"] = "list";
  body["data"] = std::move(models);
  HttpResponse response;
  response.body = json::serialize(body);
  co_await exchange.respond(std::move(response));
}

Task<void> handle_model(const ApiContext& context, Exchange& exchange) {
  const std::string& name = exchange.request().tail;
  const std::vector<ModelListing> further = context.models.list();
  const auto found = std::ranges::find(further, name, &ModelListing::name);
  if (found == further.end()) check_model_name(context.model, name);
  HttpResponse response;
  response.body = json::serialize(
      found == further.end() ? model_object(context.model, name)
                             : listing_object(context.model, *found)
  );
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
