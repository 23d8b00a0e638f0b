// What Ollama's clients ask about models and versions. What this server does not know of a model
// (its digest, its template's text) is left out.
#include <chrono>
#include <string>
#include <utility>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/ollama/call.h"
#include "server/ollama/rfc3339.h"
#include "server/ollama/routes.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

json::object details_of(const ModelInfo& info) {
  json::object details;
  details["parent_model"] = "";
  details["format"] = "mlx";
  details["family"] = info.family;
  details["families"] = json::array{json::string(info.family)};
  details["quantization_level"] = info.quantization;
  return details;
}

std::string modified_at(const ApiModel& model) {
  return rfc3339(std::chrono::system_clock::time_point(std::chrono::seconds(model.created)));
}

json::object model_object(const ApiModel& model, const std::string& name) {
  json::object object;
  object["name"] = name;
  object["model"] = name;
  object["modified_at"] = modified_at(model);
  object["size"] = model.info.weight_bytes;
  object["details"] = details_of(model.info);
  return object;
}

json::object model_list(const ApiModel& model) {
  json::array models;
  for (const std::string& name : model.names) models.push_back(model_object(model, name));
  json::object body;
  body["models"] = std::move(models);
  return body;
}

}  // namespace

Task<void> handle_ollama_tags(const ApiContext& context, Exchange& exchange) {
  co_await exchange.respond(json_response(model_list(context.model)));
}

Task<void> handle_ollama_running(const ApiContext& context, Exchange& exchange) {
  json::object body = model_list(context.model);
  for (json::value& entry : body["models"].as_array()) {
    entry.as_object()["context_length"] = context.model.info.context_length;
  }
  co_await exchange.respond(json_response(body));
}

Task<void> handle_ollama_show(const ApiContext& context, Exchange& exchange) {
  const json::value value = parse_json(exchange.request().body);
  FieldReader fields(value, "");
  const auto name = fields.string("model");
  const auto old_name = fields.string("name");  // of earlier versions
  static_cast<void>(fields.boolean("verbose"));
  fields.finish();
  if (!name && !old_name) throw Error(ErrorCode::invalid_request, "model is required", "model");
  static_cast<void>(check_ollama_model(context.model, name ? *name : *old_name));
  const ModelInfo& info = context.model.info;
  json::object facts;
  facts["general.architecture"] = info.family;
  facts["general.basename"] = info.name;
  facts[info.family + ".context_length"] = info.context_length;
  facts[info.family + ".vocab_size"] = info.vocab_size;
  json::object body;
  body["modified_at"] = modified_at(context.model);
  body["details"] = details_of(info);
  body["model_info"] = std::move(facts);
  json::array capabilities{"completion"};
  if (!info.tool_format.empty()) capabilities.push_back("tools");
  if (!info.reasoning_format.empty()) capabilities.push_back("thinking");
  body["capabilities"] = std::move(capabilities);
  co_await exchange.respond(json_response(body));
}

Task<void> handle_ollama_version(const ApiContext& context, Exchange& exchange) {
  static_cast<void>(context);
  json::object body;
  body["version"] = MLXS_VERSION;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
