// What the OpenAPI document says of each route that its policy does not say.
#pragma once

#include <span>
#include <string_view>

namespace mlxs {

enum class AnswerForm {
  json,
  events,  // JSON, or server-sent events where the body has stream: true
  lines,   // JSON, or lines of JSON unless the body has stream: false
  socket,  // a WebSocket
};

struct RouteDescription {
  std::string_view method;
  std::string_view path;  // as the route has it
  std::string_view tag;
  std::string_view summary;
  std::string_view body;  // name of the schema of the request's body; empty: it has none
  AnswerForm answer = AnswerForm::json;
};

[[nodiscard]] std::span<const RouteDescription> route_descriptions();

// RETURNS: the schemas by name, as the text of a JSON object.
[[nodiscard]] std::string_view openapi_schemas();

}  // namespace mlxs
