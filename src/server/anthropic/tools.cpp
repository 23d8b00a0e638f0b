// A tool becomes a function of OpenAI's form, which templates are written for.
#include "server/anthropic/tools.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "server/door/constraint_fields.h"
#include "server/door/neutral_fields.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/openai/messages.h"

namespace mlxs {
namespace {

constexpr IntegerRule kBudget{"budget_tokens", 1, std::numeric_limits<std::int32_t>::max()};

json::object read_tool(const json::value& value, const std::string& path) {
  FieldReader tool(value, path);
  const auto type = tool.string("type");
  if (type && *type != "custom") throw_unsupported(path + ".type " + std::string(*type));
  const auto name = tool.string("name");
  if (!name) throw Error(ErrorCode::invalid_request, path + ".name is missing", path + ".name");
  json::object function;
  function["name"] = to_json_view(*name);
  if (const auto description = tool.string("description"))
    function["description"] = to_json_view(*description);
  const json::object* schema = tool.object("input_schema");
  function["parameters"] = schema != nullptr ? *schema : json::object();
  if (tool.boolean("strict").value_or(false)) function["strict"] = true;
  tool.accept({"cache_control", "input_examples", "eager_input_streaming"});
  tool.finish();
  return {{"type", "function"}, {"function", std::move(function)}};
}

std::string read_tools(FieldReader& fields) {
  const json::array* tools = fields.array("tools");
  if (tools == nullptr || tools->empty()) return {};
  json::array result;
  for (std::size_t i = 0; i < tools->size(); ++i)
    result.push_back(read_tool((*tools)[i], element_path("tools", i)));
  return normalize_tools(result, "tools");
}

ToolParams read_choice(FieldReader& fields) {
  ToolParams params;
  const json::value* value = fields.any("tool_choice");
  if (value == nullptr) return params;
  FieldReader choice(*value, "tool_choice");
  const auto type = choice.word("type", {"auto", "any", "tool", "none"});
  if (!type)
    throw Error(ErrorCode::invalid_request, "tool_choice.type is missing", "tool_choice.type");
  const auto name = choice.string("name");
  params.is_parallel = !choice.boolean("disable_parallel_tool_use").value_or(false);
  choice.finish();
  if (*type == "none") params.choice = ToolChoice::none;
  if (*type == "any" || *type == "tool") params.choice = ToolChoice::required;
  if (*type != "tool") return params;
  if (!name || name->empty())
    throw Error(ErrorCode::invalid_request, "tool_choice.name is missing", "tool_choice.name");
  params.name = std::string(*name);
  return params;
}

void read_thinking(
    FieldReader& fields, const ApiModel& model, Request& request, ChatPrompt& prompt
) {
  const json::value* value = fields.any("thinking");
  if (value == nullptr) return;
  FieldReader thinking(*value, "thinking");
  const auto type = thinking.word("type", {"enabled", "disabled", "adaptive"});
  const auto budget = thinking.integer(kBudget);
  static_cast<void>(thinking.string("display"));
  thinking.finish();
  if (!type) throw Error(ErrorCode::invalid_request, "thinking.type is missing", "thinking.type");
  const bool can_think = !model.info.reasoning_format.empty();
  if (*type == "disabled") {
    if (can_think) prompt.template_kwargs_json = R"({"enable_thinking":false})";
    return;
  }
  if (!can_think) {
    throw Error(
        ErrorCode::unsupported,
        "thinking: this model does not think before it answers; leave it out",
        "thinking"
    );
  }
  prompt.template_kwargs_json = R"({"enable_thinking":true})";
  if (budget) request.reasoning.max_tokens = static_cast<int>(*budget);
}

// The older output_format, or output_config.format.
void read_output_format(FieldReader& fields, Request& request) {
  if (const json::value* format = fields.any("output_format"))
    request.constraint = read_format(*format, "output_format");
  const json::value* value = fields.any("output_config");
  if (value == nullptr) return;
  FieldReader config(*value, "output_config");
  config.refuse({"effort", "task_budget"});
  if (const json::value* format = config.any("format"))
    request.constraint = read_format(*format, "output_config.format");
  config.finish();
}

}  // namespace

void read_anthropic_features(
    FieldReader& fields, const ApiModel& model, Request& request, ChatPrompt& prompt
) {
  request.tools = read_choice(fields);
  prompt.tools_json = read_tools(fields);
  if (request.tools.choice == ToolChoice::none) prompt.tools_json.clear();
  read_thinking(fields, model, request, prompt);
  read_output_format(fields, request);
  const json::array* servers = fields.array("mcp_servers");
  if (servers != nullptr && !servers->empty()) throw_unsupported("mcp_servers");
  fields.refuse({"container", "context_management", "diagnostics"});
}

}  // namespace mlxs
