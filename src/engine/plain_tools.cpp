// What Qwen 2.5's template writes, which was made for Hermes' format.
#include "engine/plain_tools.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"

namespace mlxs {
namespace {

constexpr std::string_view kBeforeTools =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kAfterTools =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::invalid_request, what, "messages");
}

// Of parts, their texts.
std::string text_of(const json::value* content) {
  if (content == nullptr || content->is_null()) return {};
  if (const json::string* text = content->if_string()) return std::string(*text);
  const json::array* parts = content->if_array();
  if (parts == nullptr) refuse("a message's content must be a string or an array of parts");
  std::string joined;
  for (const json::value& part : *parts) {
    const json::object* object = part.if_object();
    const json::value* text = object != nullptr ? object->if_contains("text") : nullptr;
    if (text == nullptr || !text->is_string())
      throw Error(ErrorCode::unsupported, "this model only takes parts of text", "messages");
    joined += text->get_string();
  }
  return joined;
}

json::object message_of(std::string_view role, const std::string& content) {
  json::object message;
  message["role"] = json::string_view(role.data(), role.size());
  message["content"] = content;
  return message;
}

std::string tools_text(const std::string& tools_json) {
  const json::value tools = parse_json(tools_json);
  const json::array* list = tools.if_array();
  if (list == nullptr) throw Error(ErrorCode::invalid_request, "tools must be an array", "tools");
  std::string text(kBeforeTools);
  for (const json::value& tool : *list) text += '\n' + json::serialize(tool);
  return text + std::string(kAfterTools);
}

std::string call_text(const json::value& call) {
  const json::object* object = call.if_object();
  const json::value* function = object != nullptr ? object->if_contains("function") : nullptr;
  if (function == nullptr || !function->is_object()) refuse("a tool call must have a function");
  json::object body;
  for (const char* member : {"name", "arguments"}) {
    const json::value* value = function->get_object().if_contains(member);
    if (value == nullptr) refuse("a tool call's function must have a name and arguments");
    body[member] = *value;
  }
  return "<tool_call>\n" + json::serialize(body) + "\n</tool_call>";
}

json::value plain_assistant(const json::object& message, const json::value& calls) {
  std::string content = text_of(message.if_contains("content"));
  if (!calls.is_array()) refuse("tool_calls must be an array");
  for (const json::value& call : calls.get_array()) {
    if (!content.empty()) content += '\n';
    content += call_text(call);
  }
  return message_of("assistant", content);
}

// Answers of tools in a row are one message of the user.
void add_tool_answer(const json::object& message, json::array& plain) {
  const std::string text =
      "<tool_response>\n" + text_of(message.if_contains("content")) + "\n</tool_response>";
  json::object* last = plain.empty() ? nullptr : plain.back().if_object();
  const bool follows_one = last != nullptr && last->at("role") == "user" &&
                           text_of(&last->at("content")).starts_with("<tool_response>");
  if (follows_one) {
    (*last)["content"] = text_of(&last->at("content")) + '\n' + text;
  } else {
    plain.push_back(message_of("user", text));
  }
}

void add_plain(const json::value& value, json::array& plain) {
  const json::object* message = value.if_object();
  const json::value* role = message != nullptr ? message->if_contains("role") : nullptr;
  if (role == nullptr || !role->is_string()) refuse("a message must have a role");
  const json::value* calls = message->if_contains("tool_calls");
  if (*role == "tool") {
    add_tool_answer(*message, plain);
  } else if (calls != nullptr) {
    plain.push_back(plain_assistant(*message, *calls));
  } else {
    plain.push_back(value);
  }
}

void add_system(const std::string& text, json::array& messages) {
  json::object* first = messages.empty() ? nullptr : messages.front().if_object();
  if (first == nullptr || first->at("role") != "system") {
    messages.insert(messages.begin(), message_of("system", text));
    return;
  }
  (*first)["content"] = text_of(first->if_contains("content")) + "\n\n" + text;
}

bool needs_change(const ChatPrompt& prompt) {
  return !prompt.tools_json.empty() || prompt.messages_json.find("tool") != std::string::npos;
}

}  // namespace

ChatPrompt add_plain_tools(const ChatPrompt& prompt) {
  if (!needs_change(prompt)) return prompt;
  const json::value messages = parse_json(prompt.messages_json);
  if (!messages.is_array()) refuse("messages must be an array");
  json::array plain;
  for (const json::value& message : messages.get_array()) add_plain(message, plain);
  if (!prompt.tools_json.empty()) add_system(tools_text(prompt.tools_json), plain);
  ChatPrompt changed = prompt;
  changed.tools_json.clear();
  changed.messages_json = json::serialize(plain);
  return changed;
}

}  // namespace mlxs
