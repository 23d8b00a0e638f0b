// The body of POST /v1/chat/completions.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "server/openai/api_model.h"
#include "server/openai/call.h"
#include "server/openai/field_reader.h"
#include "server/openai/messages.h"
#include "server/openai/tool_fields.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxTemplateVariables = 32;
constexpr std::size_t kMaxVariableNameBytes = 64;

[[noreturn]] void unsupported(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::unsupported, path + " " + problem, path);
}

bool is_identifier(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= kMaxVariableNameBytes && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter(c) || (c >= '0' && c <= '9');
         });
}

// Variables that the server itself gives to the template, or that would replace it.
bool is_reserved(std::string_view name) {
  static constexpr std::string_view kReserved[] = {
      "messages",
      "tools",
      "add_generation_prompt",
      "bos_token",
      "eos_token",
      "chat_template",
      "raise_exception",
      "strftime_now"
  };
  return std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
}

std::string read_template_kwargs(FieldReader& fields) {
  const json::object* variables = fields.object("chat_template_kwargs");
  if (variables == nullptr) return {};
  const std::string path = fields.path_of("chat_template_kwargs");
  if (variables->size() > kMaxTemplateVariables) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format(
            "{} has {} members, the limit is {}", path, variables->size(), kMaxTemplateVariables
        ),
        path
    );
  }
  for (const auto& variable : *variables) {
    const std::string_view name = to_view(variable.key());
    if (!is_identifier(name))
      throw Error(
          ErrorCode::invalid_value,
          fmt::format(
              "{}: {} is no variable name", path, json_quote(name.substr(0, kMaxVariableNameBytes))
          ),
          path
      );
    if (is_reserved(name))
      throw Error(
          ErrorCode::invalid_value,
          fmt::format("{}.{} is set by the server and cannot be replaced", path, name),
          path
      );
  }
  return json::serialize(*variables);
}

// RETURNS: the tools for the template; empty for none.
std::string read_tools(FieldReader& fields, const ToolParams& params) {
  const json::array* tools = fields.array("tools");
  if (tools == nullptr) return {};
  std::string text = normalize_tools(*tools, fields.path_of("tools"));
  return params.choice == ToolChoice::none || tools->empty() ? std::string() : text;
}

// vLLM's name of the limit, and where it is given among the template's variables.
ReasoningParams read_reasoning(FieldReader& fields, CommonFields& common) {
  static constexpr IntegerRule kBudget{
      "thinking_token_budget", 0, std::numeric_limits<std::int32_t>::max()
  };
  ReasoningParams reasoning;
  if (const auto budget = fields.integer(kBudget)) reasoning.max_tokens = static_cast<int>(*budget);
  common.reply.include_reasoning = fields.boolean("include_reasoning").value_or(true);
  return reasoning;
}

void check_modalities(FieldReader& fields) {
  const json::array* modalities = fields.array("modalities");
  if (modalities == nullptr) return;
  const std::string path = fields.path_of("modalities");
  for (std::size_t i = 0; i < modalities->size(); ++i) {
    if (checked_string((*modalities)[i], element_path(path, i)) != "text")
      unsupported(path, "has only text on this server");
  }
}

void check_unsupported(FieldReader& fields) {
  if (fields.boolean("continue_final_message").value_or(false)) {
    unsupported("continue_final_message", "is not supported by this server; leave it out");
  }
  fields.refuse(
      {"audio",
       "functions",
       "function_call",
       "prediction",
       "reasoning_effort",
       "verbosity",
       "web_search_options",
       "chat_template",
       "documents",
       "echo"}
  );
}

}  // namespace

Call parse_chat_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  CommonFields common = read_common_fields(fields, model);
  const json::array* messages = fields.array("messages");
  if (messages == nullptr)
    throw Error(ErrorCode::invalid_request, "you must provide a messages parameter", "messages");
  read_chat_logprobs(fields, common.sampling.logprobs);
  read_tokens_of_reply(fields, model, common);
  check_unsupported(fields);
  check_modalities(fields);
  const ToolParams tools = read_tool_params(fields);
  const ReasoningParams reasoning = read_reasoning(fields, common);
  ChatPrompt prompt;
  prompt.tools_json = read_tools(fields, tools);
  prompt.template_kwargs_json = read_template_kwargs(fields);
  prompt.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  fields.finish();
  prompt.messages_json = normalize_messages(*messages, "messages");
  std::vector<Prompt> prompts;
  prompts.emplace_back(std::move(prompt));
  Call call = make_call(std::move(common), prompts);
  call.requests.front().tools = tools;
  call.requests.front().reasoning = reasoning;
  return call;
}

}  // namespace mlxs
