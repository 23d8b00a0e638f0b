// Only a call's first piece has an id and a name.
#include "server/openai/tool_fields.h"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "mlx_serving/output.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

ToolChoice read_choice_word(std::string_view word, const std::string& path) {
  if (word == "auto") return ToolChoice::automatic;
  if (word == "none") return ToolChoice::none;
  if (word == "required") return ToolChoice::required;
  throw Error(
      ErrorCode::invalid_value,
      fmt::format(
          "{} must be none, auto, required or an object, got {}",
          path,
          json_quote(word.substr(0, 40))
      ),
      path
  );
}

std::string read_named(const json::value& value, const std::string& path) {
  FieldReader choice(value, path);
  const auto type = choice.string("type");
  if (type && *type != "function") {
    throw Error(
        ErrorCode::unsupported,
        fmt::format(
            "{}.type {} is not supported by this server; name a function",
            path,
            json_quote(type->substr(0, 40))
        ),
        path + ".type"
    );
  }
  auto name = choice.string("name");
  if (const json::value* function = choice.any("function")) {
    FieldReader inner(*function, path + ".function");
    name = inner.string("name");
    inner.finish();
  }
  choice.finish();
  if (name && !name->empty()) return std::string(*name);
  throw Error(
      ErrorCode::invalid_request, path + ".function.name is missing", path + ".function.name"
  );
}

}  // namespace

ToolParams read_tool_params(FieldReader& fields) {
  ToolParams params;
  params.is_parallel = fields.boolean("parallel_tool_calls").value_or(true);
  const json::value* choice = fields.any("tool_choice");
  if (choice == nullptr) return params;
  const std::string path = fields.path_of("tool_choice");
  if (choice->is_string()) {
    params.choice = read_choice_word(to_view(choice->get_string()), path);
  } else if (choice->is_object()) {
    params.choice = ToolChoice::required;
    params.name = read_named(*choice, path);
  } else {
    throw_wrong_type(path, "a string or an object", *choice);
  }
  return params;
}

void add_tool_calls(const std::vector<ToolCallDelta>& pieces, std::vector<ToolCallDelta>& calls) {
  for (const ToolCallDelta& piece : pieces) {
    if (!calls.empty() && calls.back().index == piece.index) {
      calls.back().arguments += piece.arguments;
    } else {
      calls.push_back(piece);
    }
  }
}

json::array tool_call_array(const std::vector<ToolCallDelta>& calls) {
  json::array array;
  for (const ToolCallDelta& call : calls) {
    json::object function;
    function["name"] = call.name;
    function["arguments"] = call.arguments;
    json::object object;
    object["id"] = call.id;
    object["type"] = "function";
    object["function"] = std::move(function);
    array.push_back(std::move(object));
  }
  return array;
}

json::array tool_call_deltas(const std::vector<ToolCallDelta>& pieces) {
  json::array array;
  for (const ToolCallDelta& piece : pieces) {
    json::object function;
    json::object object;
    object["index"] = piece.index;
    if (!piece.id.empty()) {
      object["id"] = piece.id;
      object["type"] = "function";
      function["name"] = piece.name;
    }
    function["arguments"] = piece.arguments;
    object["function"] = std::move(function);
    array.push_back(std::move(object));
  }
  return array;
}

std::optional<json::object> arguments_object(const ToolCallDelta& call) {
  if (call.arguments.empty()) return json::object();
  try {
    json::value value = parse_json(call.arguments);
    if (json::object* object = value.if_object()) return std::move(*object);
  } catch (const Error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace mlxs
