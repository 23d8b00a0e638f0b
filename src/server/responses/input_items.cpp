// Messages of text, reasoning, and functions' calls and answers; the rest is refused by name.
#include "server/responses/input_items.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "server/http/service.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

[[noreturn]] void missing(const std::string& path) {
  throw Error(ErrorCode::invalid_request, fmt::format("{} is missing", path), path);
}

[[noreturn]] void no_text(const std::string& path, std::string_view type) {
  throw Error(
      ErrorCode::unsupported,
      fmt::format(
          "{} {}: this server takes messages of text, reasoning, function_call and "
          "function_call_output",
          path,
          json_quote(type.substr(0, 40))
      ),
      path
  );
}

std::string read_part(const json::value& value, const std::string& path) {
  FieldReader part(value, path);
  const auto type = part.string("type");
  if (!type) missing(path + ".type");
  if (*type != "input_text" && *type != "output_text" && *type != "text")
    no_text(path + ".type", *type);
  const auto text = part.string("text");
  if (!text) missing(path + ".text");
  part.accept({"annotations", "logprobs"});  // of an earlier answer
  part.finish();
  return std::string(*text);
}

std::string read_content(const json::value& content, const std::string& path) {
  if (content.is_string()) return std::string(to_view(content.get_string()));
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of parts", content);
  std::string text;
  const json::array& parts = content.get_array();
  for (std::size_t i = 0; i < parts.size(); ++i) text += read_part(parts[i], element_path(path, i));
  return text;
}

void add_message(
    std::string_view role, const std::string& text, std::string id, ResponseInput& input
) {
  json::object message;
  message["role"] = role == "developer" ? json::string_view("system") : to_json_view(role);
  message["content"] = text;
  json::object* last = input.messages.empty() ? nullptr : input.messages.back().if_object();
  const bool ends_reasoning = role == "assistant" && last != nullptr &&
                              last->contains("reasoning_content") && last->at("content") == "" &&
                              !last->contains("tool_calls");
  if (ends_reasoning) {
    (*last)["content"] = text;
  } else {
    input.messages.push_back(std::move(message));
  }
  json::object part;
  part["type"] = role == "assistant" ? "output_text" : "input_text";
  part["text"] = text;
  if (role == "assistant") part["annotations"] = json::array();
  json::array content;
  content.push_back(std::move(part));
  json::object item;
  item["type"] = "message";
  item["id"] = std::move(id);
  item["status"] = "completed";
  item["role"] = to_json_view(role);
  item["content"] = std::move(content);
  input.items.push_back(std::move(item));
}

// RETURNS: the last message where it is the assistant's, or a new one of it.
json::object& assistant_message(ResponseInput& input) {
  json::object* last = input.messages.empty() ? nullptr : input.messages.back().if_object();
  if (last == nullptr || last->at("role") != "assistant") {
    input.messages.push_back(json::object{{"role", "assistant"}, {"content", ""}});
    last = &input.messages.back().get_object();
  }
  return *last;
}

void keep_item(const json::value& value, std::string id, ResponseInput& input) {
  json::object item = value.as_object();
  item["id"] = std::move(id);
  input.items.push_back(std::move(item));
}

void read_call(
    const json::value& value, const std::string& path, std::string id, ResponseInput& input
) {
  FieldReader item(value, path);
  item.accept({"type", "id", "status", "namespace"});
  const auto call_id = item.string("call_id");
  if (!call_id) missing(path + ".call_id");
  const auto name = item.string("name");
  if (!name) missing(path + ".name");
  const std::string_view arguments = item.string("arguments").value_or("{}");
  item.finish();
  json::object function;
  function["name"] = to_json_view(*name);
  function["arguments"] = to_json_view(arguments);
  json::object call;
  call["id"] = to_json_view(*call_id);
  call["type"] = "function";
  call["function"] = std::move(function);
  json::value& calls = assistant_message(input)["tool_calls"];
  if (!calls.is_array()) calls = json::array();
  calls.get_array().push_back(std::move(call));
  keep_item(value, std::move(id), input);
}

void read_call_output(
    const json::value& value, const std::string& path, std::string id, ResponseInput& input
) {
  FieldReader item(value, path);
  item.accept({"type", "id", "status"});
  const auto call_id = item.string("call_id");
  if (!call_id) missing(path + ".call_id");
  const json::value* output = item.any("output");
  if (output == nullptr) missing(path + ".output");
  item.finish();
  json::object message;
  message["role"] = "tool";
  message["tool_call_id"] = to_json_view(*call_id);
  message["content"] = read_content(*output, path + ".output");
  input.messages.push_back(std::move(message));
  keep_item(value, std::move(id), input);
}

// Of an earlier answer that is sent again: it begins the assistant's next message.
void read_reasoning(
    const json::value& value, const std::string& path, std::string id, ResponseInput& input
) {
  FieldReader item(value, path);
  item.accept({"type", "id", "status", "summary", "encrypted_content"});
  std::string text;
  if (const json::array* parts = item.array("content")) {
    for (std::size_t i = 0; i < parts->size(); ++i) {
      FieldReader part((*parts)[i], element_path(path + ".content", i));
      part.accept({"type"});
      text += part.string("text").value_or("");
      part.finish();
    }
  }
  item.finish();
  if (!text.empty()) {
    input.messages.push_back(json::object{{"role", "assistant"}, {"content", ""}});
    input.messages.back().get_object()["reasoning_content"] = text;
  }
  keep_item(value, std::move(id), input);
}

void read_message(
    const json::value& value, const std::string& path, std::string id, ResponseInput& input
) {
  FieldReader item(value, path);
  const auto role = item.word("role", {"user", "assistant", "system", "developer"});
  if (!role) missing(path + ".role");
  const json::value* content = item.any("content");
  if (content == nullptr) missing(path + ".content");
  // of an earlier answer that is sent again
  static_cast<void>(item.string("id"));
  static_cast<void>(item.word("status", {"in_progress", "completed", "incomplete"}));
  item.accept({"type", "phase"});
  item.finish();
  add_message(*role, read_content(*content, path + ".content"), std::move(id), input);
}

void read_item(
    const json::value& value, const std::string& path, std::string id, ResponseInput& input
) {
  const auto type = FieldReader(value, path).string("type");
  if (!type || *type == "message") return read_message(value, path, std::move(id), input);
  if (*type == "function_call") return read_call(value, path, std::move(id), input);
  if (*type == "function_call_output") return read_call_output(value, path, std::move(id), input);
  if (*type == "reasoning") return read_reasoning(value, path, std::move(id), input);
  no_text(path + ".type", *type);
}

}  // namespace

ResponseInput read_response_input(FieldReader& fields, IdSource& ids) {
  const json::value* value = fields.any("input");
  const std::string path = fields.path_of("input");
  if (value == nullptr) throw Error(ErrorCode::invalid_request, "you must provide an input", path);
  ResponseInput input;
  if (value->is_string()) {
    add_message("user", std::string(to_view(value->get_string())), ids.next("msg_"), input);
    return input;
  }
  if (!value->is_array()) throw_wrong_type(path, "a string or an array of items", *value);
  const json::array& items = value->get_array();
  if (items.empty())
    throw Error(ErrorCode::invalid_value, fmt::format("{} must not be empty", path), path);
  for (std::size_t i = 0; i < items.size(); ++i)
    read_item(items[i], element_path(path, i), ids.next("msg_"), input);
  return input;
}

}  // namespace mlxs
