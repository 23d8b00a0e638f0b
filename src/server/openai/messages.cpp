// One function a shape: message, content, tool call, tool.
#include "server/openai/messages.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "mlx_serving/error.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxTools = 128;
constexpr std::size_t kMaxFunctionNameBytes = 64;

[[noreturn]] void missing(const std::string& path) {
  throw Error(ErrorCode::invalid_request, fmt::format("{} is missing", path), path);
}

json::array normalize_parts(const json::array& parts, const std::string& path) {
  if (parts.empty())
    throw Error(ErrorCode::invalid_value, fmt::format("{} must not be empty", path), path);
  json::array result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = element_path(path, i);
    FieldReader part(parts[i], part_path);
    const auto type = part.string("type");
    if (!type) missing(part_path + ".type");
    if (*type != "text") {
      const std::string type_path = part_path + ".type";
      throw Error(
          ErrorCode::unsupported,
          fmt::format(
              "{} {}: only text parts are supported by this server",
              type_path,
              json_quote(type->substr(0, 40))
          ),
          type_path
      );
    }
    const auto text = part.string("text");
    if (!text) missing(part_path + ".text");
    part.finish();
    json::object result_part;
    result_part["type"] = "text";
    result_part["text"] = to_json_view(*text);
    result.push_back(std::move(result_part));
  }
  return result;
}

json::value normalize_content(const json::value& content, const std::string& path) {
  if (content.is_string()) return content;
  if (!content.is_array()) throw_wrong_type(path, "a string or an array of parts", content);
  return normalize_parts(content.get_array(), path);
}

std::string read_function_name(FieldReader& function) {
  const std::string path = function.path_of("name");
  const auto name = function.string("name");
  if (!name) missing(path);
  const auto is_allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-' || c == '.';
  };
  if (name->empty() || name->size() > kMaxFunctionNameBytes ||
      !std::all_of(name->begin(), name->end(), is_allowed)) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format(
            "{} must be 1 to {} letters, digits, '_', '-' or '.'", path, kMaxFunctionNameBytes
        ),
        path
    );
  }
  return std::string(*name);
}

// Templates walk through the arguments as an object, while the API carries them as JSON in a
// string.
json::object read_arguments(FieldReader& function) {
  const std::string path = function.path_of("arguments");
  const auto text = function.string("arguments");
  if (!text || text->empty()) return {};
  json::value arguments;
  try {
    arguments = parse_json(*text);
  } catch (const Error& error) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} must hold a JSON object: {}", path, error.what()),
        path
    );
  }
  if (!arguments.is_object())
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} must hold a JSON object, got {}", path, describe_json(arguments)),
        path
    );
  return std::move(arguments.get_object());
}

json::value normalize_tool_call(const json::value& value, const std::string& path) {
  FieldReader call(value, path);
  const auto id = call.string("id");
  static_cast<void>(call.word("type", {"function"}));
  const json::value* function_value = call.any("function");
  if (function_value == nullptr) missing(path + ".function");
  call.accept({"index"});
  call.finish();
  FieldReader function(*function_value, path + ".function");
  json::object result_function;
  result_function["name"] = read_function_name(function);
  result_function["arguments"] = read_arguments(function);
  function.finish();
  json::object result;
  if (id) result["id"] = to_json_view(*id);
  result["type"] = "function";
  result["function"] = std::move(result_function);
  return result;
}

json::array normalize_tool_calls(const json::array& calls, const std::string& path) {
  if (calls.empty())
    throw Error(ErrorCode::invalid_value, fmt::format("{} must not be empty", path), path);
  json::array result;
  for (std::size_t i = 0; i < calls.size(); ++i)
    result.push_back(normalize_tool_call(calls[i], element_path(path, i)));
  return result;
}

void add_string(FieldReader& message, std::string_view name, json::object& result) {
  if (const auto text = message.string(name)) result[to_json_view(name)] = to_json_view(*text);
}

json::value normalize_message(const json::value& value, const std::string& path) {
  FieldReader message(value, path);
  const auto role =
      message.word("role", {"system", "developer", "user", "assistant", "tool", "function"});
  if (!role) missing(path + ".role");
  const bool is_assistant = *role == "assistant";
  json::object result;
  result["role"] = *role == "developer" ? json::string_view("system") : to_json_view(*role);

  const json::value* content = message.any("content");
  const json::array* tool_calls = is_assistant ? message.array("tool_calls") : nullptr;
  if (content != nullptr) {
    result["content"] = normalize_content(*content, path + ".content");
  } else if (tool_calls != nullptr) {
    result["content"] = nullptr;
  } else {
    missing(path + ".content");
  }
  add_string(message, "name", result);
  if (*role == "tool") {
    add_string(message, "tool_call_id", result);
    if (!result.contains("tool_call_id")) missing(path + ".tool_call_id");
  }
  if (is_assistant) {
    if (tool_calls != nullptr)
      result["tool_calls"] = normalize_tool_calls(*tool_calls, path + ".tool_calls");
    add_string(message, "reasoning_content", result);
    message.refuse({"audio", "function_call"});
    message.accept({"refusal", "annotations"}
    );  // parts of an earlier answer that no template reads
  }
  message.finish();
  return result;
}

}  // namespace

std::string normalize_messages(const json::array& messages, const std::string& path) {
  if (messages.empty())
    throw Error(
        ErrorCode::invalid_value, fmt::format("{} must have at least one message", path), path
    );
  json::array result;
  for (std::size_t i = 0; i < messages.size(); ++i)
    result.push_back(normalize_message(messages[i], element_path(path, i)));
  return json::serialize(result);
}

std::string normalize_tools(const json::array& tools, const std::string& path) {
  if (tools.size() > kMaxTools)
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("{} has {} tools, the limit is {}", path, tools.size(), kMaxTools),
        path
    );
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string tool_path = element_path(path, i);
    FieldReader tool(tools[i], tool_path);
    if (!tool.word("type", {"function"})) missing(tool_path + ".type");
    const json::value* function_value = tool.any("function");
    if (function_value == nullptr) missing(tool_path + ".function");
    tool.finish();
    FieldReader function(*function_value, tool_path + ".function");
    static_cast<void>(read_function_name(function));
    static_cast<void>(function.string("description"));
    static_cast<void>(function.object("parameters"));
    static_cast<void>(function.boolean("strict"));
    function.finish();
  }
  return json::serialize(tools);
}

}  // namespace mlxs
