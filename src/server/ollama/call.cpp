// What Ollama has and this engine has not (formats, tools, thinking, images) is refused by name.
#include "server/ollama/call.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "server/door/answer_one.h"
#include "server/door/logprob_fields.h"
#include "server/door/neutral_fields.h"
#include "server/ollama/options.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::string_view kLatest = ":latest";
constexpr std::array<std::string_view, 4> kCommonEmpty = {"format", "tools", "think", "truncate"};
constexpr std::array<std::string_view, 4> kGenerateEmpty = {
    "images", "suffix", "template", "context"
};
constexpr std::array<std::string_view, 2> kMessageEmpty = {"images", "tool_calls"};

// A model stays as long as the server does.
void check_keep_alive(FieldReader& fields) {
  const json::value* value = fields.any("keep_alive");
  if (value == nullptr || value->is_string() || value->is_number()) return;
  throw_wrong_type(fields.path_of("keep_alive"), "a duration or a number of seconds", *value);
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
  read_chat_logprobs(fields, call.door.request.sampling.logprobs);
  check_keep_alive(fields);
  return call;
}

json::object read_message(const json::value& value, const std::string& path) {
  FieldReader message(value, path);
  const auto role = message.word("role", {"system", "user", "assistant", "tool"});
  if (!role) {
    const std::string role_path = path + ".role";
    throw Error(ErrorCode::invalid_request, role_path + " is missing", role_path);
  }
  if (*role == "tool") throw_unsupported(path + ".role tool");
  check_empty(message, kMessageEmpty);
  json::object result;
  result["role"] = to_json_view(*role);
  result["content"] = to_json_view(message.string("content").value_or(""));
  if (const auto thinking = message.string("thinking"))
    result["reasoning_content"] = to_json_view(*thinking);
  message.finish();
  return result;
}

ChatPrompt chat_of(const json::array& messages) {
  ChatPrompt prompt;
  prompt.messages_json = json::serialize(messages);
  return prompt;
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
  fields.finish();
  call.is_empty = messages == nullptr || messages->empty();
  if (call.is_empty) return call;
  json::array turns;
  for (std::size_t i = 0; i < messages->size(); ++i)
    turns.push_back(read_message((*messages)[i], element_path("messages", i)));
  call.door.request.prompt = chat_of(turns);
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
  call.door.request.prompt = chat_of(turns);
  return call;
}

}  // namespace mlxs
