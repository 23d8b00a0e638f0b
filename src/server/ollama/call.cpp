// What Ollama has and this engine has not (images, suffixes) is refused by name.
#include "server/ollama/call.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "server/door/answer_one.h"
#include "server/door/constraint_fields.h"
#include "server/door/logprob_fields.h"
#include "server/door/neutral_fields.h"
#include "server/ollama/options.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/openai/messages.h"

namespace mlxs {
namespace {

constexpr std::string_view kLatest = ":latest";
constexpr std::array<std::string_view, 1> kCommonEmpty = {"truncate"};
constexpr std::array<std::string_view, 4> kGenerateEmpty = {
    "images", "suffix", "template", "context"
};
constexpr std::array<std::string_view, 1> kMessageEmpty = {"images"};

// A model stays as long as the server does.
void check_keep_alive(FieldReader& fields) {
  const json::value* value = fields.any("keep_alive");
  if (value == nullptr || value->is_string() || value->is_number()) return;
  throw_wrong_type(fields.path_of("keep_alive"), "a duration or a number of seconds", *value);
}

// "json", or a schema. An empty one is none.
std::optional<Constraint> read_ollama_format(FieldReader& fields) {
  const json::value* format = fields.any("format");
  if (format == nullptr) return std::nullopt;
  if (!format->is_string()) return schema_constraint(*format, "format");
  if (format->get_string().empty()) return std::nullopt;
  if (format->get_string() == "json")
    return Constraint{.kind = ConstraintKind::json_object, .text = {}, .param = "format"};
  throw Error(ErrorCode::invalid_value, "format must be \"json\" or a JSON schema", "format");
}

OllamaCall read_common(FieldReader& fields, const ApiModel& model) {
  OllamaCall call;
  const auto name = fields.string("model");
  if (!name) throw Error(ErrorCode::invalid_request, "model is required", "model");
  static_cast<void>(check_ollama_model(model, *name));
  call.model = std::string(*name);
  call.door.mode = fields.boolean("stream").value_or(true) ? ReplyMode::stream : ReplyMode::whole;
  read_ollama_options(fields, model, call.door.request);
  check_empty(fields, kCommonEmpty);
  call.door.request.constraint = read_ollama_format(fields);
  read_chat_logprobs(fields, call.door.request.sampling.logprobs);
  check_keep_alive(fields);
  return call;
}

// Thinking is the template's affair; what is no bool is a level, which few templates know.
void read_think(FieldReader& fields, const ApiModel& model, ChatPrompt& prompt) {
  const json::value* think = fields.any("think");
  if (think == nullptr) return;
  if (!think->is_bool()) throw_unsupported("think other than true and false");
  if (think->get_bool() && model.info.reasoning_format.empty()) {
    throw Error(
        ErrorCode::unsupported,
        "think: this model does not think before it answers; leave it out",
        "think"
    );
  }
  if (model.info.reasoning_format.empty()) return;
  prompt.template_kwargs_json =
      think->get_bool() ? R"({"enable_thinking":true})" : R"({"enable_thinking":false})";
}

std::string read_ollama_tools(FieldReader& fields) {
  const json::array* tools = fields.array("tools");
  if (tools == nullptr || tools->empty()) return {};
  return normalize_tools(*tools, "tools");
}

// Ollama's arguments are an object, as templates want them.
json::array read_tool_calls(const json::array& calls, const std::string& path) {
  json::array result;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string call_path = element_path(path, i);
    FieldReader call(calls[i], call_path);
    const json::value* value = call.any("function");
    call.accept({"id", "type"});
    call.finish();
    if (value == nullptr)
      throw Error(ErrorCode::invalid_request, call_path + ".function is missing", call_path);
    FieldReader function(*value, call_path + ".function");
    json::object inner;
    inner["name"] = to_json_view(function.string("name").value_or(""));
    const json::object* arguments = function.object("arguments");
    inner["arguments"] = arguments != nullptr ? *arguments : json::object();
    function.accept({"index", "description"});
    function.finish();
    json::object entry;
    entry["type"] = "function";
    entry["function"] = std::move(inner);
    result.push_back(std::move(entry));
  }
  return result;
}

json::object read_message(const json::value& value, const std::string& path) {
  FieldReader message(value, path);
  const auto role = message.word("role", {"system", "user", "assistant", "tool"});
  if (!role) {
    const std::string role_path = path + ".role";
    throw Error(ErrorCode::invalid_request, role_path + " is missing", role_path);
  }
  check_empty(message, kMessageEmpty);
  json::object result;
  result["role"] = to_json_view(*role);
  result["content"] = to_json_view(message.string("content").value_or(""));
  if (const auto thinking = message.string("thinking"))
    result["reasoning_content"] = to_json_view(*thinking);
  const json::array* calls = message.array("tool_calls");
  if (calls != nullptr && !calls->empty())
    result["tool_calls"] = read_tool_calls(*calls, path + ".tool_calls");
  for (const std::string_view name : {"tool_name", "tool_call_id", "name"}) {
    const auto text = message.string(name);
    if (text)
      result[name == "tool_name" ? json::string_view("name") : to_json_view(name)] =
          to_json_view(*text);
  }
  message.finish();
  return result;
}

json::object text_message(std::string_view role, std::string_view text) {
  json::object message;
  message["role"] = to_json_view(role);
  message["content"] = to_json_view(text);
  return message;
}

}  // namespace

std::string_view check_ollama_model(const ApiModel& model, std::string_view name) {
  const std::string_view plain =
      name.ends_with(kLatest) ? name.substr(0, name.size() - kLatest.size()) : name;
  check_model_name(model, plain);
  return plain;
}

OllamaCall parse_ollama_chat(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  OllamaCall call = read_common(fields, model);
  const json::array* messages = fields.array("messages");
  ChatPrompt prompt;
  prompt.tools_json = read_ollama_tools(fields);
  read_think(fields, model, prompt);
  fields.finish();
  call.is_empty = messages == nullptr || messages->empty();
  if (call.is_empty) return call;
  json::array turns;
  for (std::size_t i = 0; i < messages->size(); ++i)
    turns.push_back(read_message((*messages)[i], element_path("messages", i)));
  prompt.messages_json = json::serialize(turns);
  call.door.request.prompt = std::move(prompt);
  return call;
}

OllamaCall parse_ollama_generate(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  OllamaCall call = read_common(fields, model);
  check_empty(fields, kGenerateEmpty);
  const std::string_view text = fields.string("prompt").value_or("");
  const std::string_view system = fields.string("system").value_or("");
  const bool is_raw = fields.boolean("raw").value_or(false);
  ChatPrompt prompt;
  read_think(fields, model, prompt);
  fields.finish();
  call.is_empty = text.empty();
  if (is_raw && !system.empty()) {
    throw Error(ErrorCode::invalid_value, "raw prompts have no system; leave one out", "system");
  }
  if (is_raw || !model.info.has_chat_template) {
    call.door.request.prompt = std::string(text);
    return call;
  }
  json::array turns;
  if (!system.empty()) turns.push_back(text_message("system", system));
  turns.push_back(text_message("user", text));
  prompt.messages_json = json::serialize(turns);
  call.door.request.prompt = std::move(prompt);
  return call;
}

}  // namespace mlxs
