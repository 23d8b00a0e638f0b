// One reader of bodies for all routes: what a route without a model's name lacks is put in.
#include "server/prompt/prompt_body.h"

#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/http/message.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

std::string with_model(json::object body, const ApiModel& model) {
  if (!body.contains("model")) body["model"] = to_json_view(model.names.front());
  return json::serialize(body);
}

}  // namespace

Call parse_chat_object(json::object body, const ApiModel& model) {
  return parse_chat_call(with_model(std::move(body), model), model);
}

Call parse_completion_object(json::object body, const ApiModel& model) {
  return parse_completion_call(with_model(std::move(body), model), model);
}

json::object parse_object(std::string_view body) {
  json::value value = parse_json(body);
  if (!value.is_object()) throw_wrong_type("", "an object", value);
  return std::move(value.get_object());
}

HttpResponse json_response(const json::value& body) {
  HttpResponse response;
  response.body = json::serialize(body);
  return response;
}

}  // namespace mlxs
