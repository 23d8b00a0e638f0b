// Paths, methods and keys come from the routes, so that the document cannot lack one.
#include "server/openapi/document.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/router.h"
#include "server/http/task.h"
#include "server/openai/field_reader.h"
#include "server/openapi/descriptions.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

constexpr std::string_view kParameter = "{id}";

const RouteDescription& description_of(const Route& route) {
  for (const RouteDescription& description : route_descriptions()) {
    if (description.method == route.method && description.path == route.path) return description;
  }
  throw std::logic_error("no description of " + std::string(route.path));
}

void check_descriptions(const std::vector<Route>& routes) {
  for (const RouteDescription& description : route_descriptions()) {
    const bool has_route = std::any_of(routes.begin(), routes.end(), [&](const Route& route) {
      return route.method == description.method && route.path == description.path;
    });
    if (!has_route) throw std::logic_error("no route at " + std::string(description.path));
  }
}

json::object reference(std::string_view schema) {
  return {{"$ref", "#/components/schemas/" + std::string(schema)}};
}

json::object json_content(json::object schema) {
  return {{"application/json", {{"schema", std::move(schema)}}}};
}

json::object responses_of(const RouteDescription& description) {
  json::object failure{
      {"description", "What was wrong"}, {"content", json_content(reference("Error"))}
  };
  if (description.answer == AnswerForm::socket) {
    return {
        {"101", {{"description", "The connection is a WebSocket"}}}, {"default", std::move(failure)}
    };
  }
  json::object content = json_content({{"type", {"object", "array"}}});
  const json::object text{{"schema", {{"type", "string"}}}};
  if (description.answer == AnswerForm::events) content["text/event-stream"] = text;
  if (description.answer == AnswerForm::lines) content["application/x-ndjson"] = text;
  return {
      {"200", {{"description", "The answer"}, {"content", std::move(content)}}},
      {"default", std::move(failure)}
  };
}

json::array security_of(const Route& route) {
  json::array security;
  if (route.policy.access() == RouteAccess::open) return security;
  security.push_back(json::object{{"bearer", json::array()}});
  if (route.policy.dialect().key_field == KeyField::bearer_or_api_key)
    security.push_back(json::object{{"api_key", json::array()}});
  return security;
}

json::object operation_of(const Route& route) {
  const RouteDescription& description = description_of(route);
  json::object operation;
  operation["tags"] = json::array{json::string(to_json_view(description.tag))};
  operation["summary"] = to_json_view(description.summary);
  operation["security"] = security_of(route);
  if (route.path.find('*') != std::string_view::npos) {
    json::object parameter{
        {"name", "id"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}
    };
    json::array parameters;
    parameters.push_back(std::move(parameter));
    operation["parameters"] = std::move(parameters);
  }
  if (!description.body.empty()) {
    operation["requestBody"] = {
        {"required", true}, {"content", json_content(reference(description.body))}
    };
  }
  operation["responses"] = responses_of(description);
  return operation;
}

std::string path_of(const Route& route) {
  std::string path(route.path);
  const std::size_t star = path.find('*');
  if (star != std::string::npos) path.replace(star, 1, kParameter);
  return path;
}

std::string lower(std::string_view method) {
  std::string text(method);
  for (char& c : text) c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

json::object openapi_document(const std::vector<Route>& routes) {
  check_descriptions(routes);
  json::object paths;
  for (const Route& route : routes) {
    json::value& path = paths[path_of(route)];
    if (!path.is_object()) path = json::object();
    path.as_object()[lower(route.method)] = operation_of(route);
  }
  json::object components;
  components["securitySchemes"] = {
      {"bearer", {{"type", "http"}, {"scheme", "bearer"}}},
      {"api_key", {{"type", "apiKey"}, {"in", "header"}, {"name", "X-API-Key"}}}
  };
  components["schemas"] = parse_json(openapi_schemas());
  json::object document;
  document["openapi"] = "3.1.0";
  document["info"] = {{"title", "mlx-serving"}, {"version", MLXS_VERSION}};
  document["paths"] = std::move(paths);
  document["components"] = std::move(components);
  return document;
}

Task<void> handle_openapi(const ApiContext& context, Exchange& exchange) {
  const json::object document = openapi_document(context.service.router.routes());
  co_await exchange.respond(json_response(document));
}

}  // namespace mlxs
