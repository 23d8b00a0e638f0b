// What cannot be kept to is an error, and never left out.
#include "engine/output_plan.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "engine/output_guide.h"
#include "engine/text_model.h"
#include "mlx_serving/error.h"
#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "text/grammar.h"
#include "text/output_parser.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/tokenizer.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_grammar.h"

namespace mlxs {
namespace {

constexpr std::size_t kPromptTail = 32;  // tokens that hold a mark and the blanks behind it

GrammarKind to_grammar_kind(ConstraintKind kind) {
  switch (kind) {
    case ConstraintKind::json_schema:
      return GrammarKind::json_schema;
    case ConstraintKind::json_object:
      return GrammarKind::json_object;
    case ConstraintKind::regex:
      return GrammarKind::regex;
    case ConstraintKind::choice:
      return GrammarKind::choice;
    case ConstraintKind::lark:
      return GrammarKind::lark;
    case ConstraintKind::structural_tag:
      return GrammarKind::structural_tag;
    case ConstraintKind::gbnf:
      return GrammarKind::gbnf;
  }
  throw std::logic_error("a constraint of an unknown kind");
}

[[noreturn]] void unsupported(const std::string& what, const std::string& param) {
  throw Error(ErrorCode::unsupported, what, param);
}

std::shared_ptr<const Grammar> compile(
    const GrammarSpec& spec, const TextModel& text, const std::string& param
) {
  if (!text.grammars)
    unsupported("this model has no end token, so that no constrained output could end", param);
  try {
    return text.grammars->cache.get(spec);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", param, error.what()), param);
  }
}

// The tools of a conversation that may be called.
struct Tools {
  std::vector<ToolFunction> functions = {};
  bool is_strict = false;  // some tool wants its calls to be sound

  [[nodiscard]] bool has_any() const { return !functions.empty(); }
};

[[noreturn]] void wrong_tools(const std::string& what) {
  throw Error(ErrorCode::invalid_request, "tools: " + what, "tools");
}

void add_tool(const json::value& tool, const std::string& only, Tools& tools) {
  const json::object* object = tool.if_object();
  const json::value* function = object != nullptr ? object->if_contains("function") : nullptr;
  if (function == nullptr || !function->is_object()) wrong_tools("each must have a function");
  const json::value* name = function->get_object().if_contains("name");
  if (name == nullptr || !name->is_string()) wrong_tools("each function must have a name");
  if (!only.empty() && name->get_string() != only) return;
  const json::value* parameters = function->get_object().if_contains("parameters");
  const json::value* strict = function->get_object().if_contains("strict");
  tools.is_strict = tools.is_strict || (strict != nullptr && *strict == true);
  const bool has_parameters = parameters != nullptr && !parameters->is_null();
  tools.functions.push_back(
      {.name = std::string(name->get_string()),
       .parameters_json = has_parameters ? json::serialize(*parameters) : std::string()}
  );
}

Tools tools_of(const ChatPrompt& chat, const ToolParams& params) {
  Tools tools;
  if (chat.tools_json.empty() || params.choice == ToolChoice::none) return tools;
  const json::value list = parse_json(chat.tools_json);
  if (!list.is_array()) wrong_tools("must be an array");
  for (const json::value& tool : list.get_array()) add_tool(tool, params.name, tools);
  if (!tools.has_any() && !params.name.empty()) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("tool_choice names {}, which is none of the tools", json_quote(params.name)),
        "tool_choice"
    );
  }
  return tools;
}

std::shared_ptr<const Grammar> tool_grammar(
    const Tools& tools, const ToolParams& params, const TextModel& text
) {
  const bool is_required = params.choice == ToolChoice::required;
  if (!is_required && !tools.is_strict && params.is_parallel) return nullptr;
  // A tool that is named is called once.
  const bool is_parallel = params.is_parallel && params.name.empty();
  const auto spec = make_tool_grammar(
      *text.tool_format,
      tools.functions,
      {.need = is_required ? ToolNeed::required : ToolNeed::when_called,
       .parallel = is_parallel ? ParallelCalls::yes : ParallelCalls::no}
  );
  if (!spec) {
    unsupported(
        "this model's calls have no mark by which text could be told from them, so that strict "
        "tools and parallel_tool_calls false need tool_choice required",
        "tools"
    );
  }
  return compile(*spec, text, "tools");
}

ReasoningOptions reasoning_of(std::span<const std::int32_t> prompt_ids, const TextModel& text) {
  ReasoningOptions options{.format = text.reasoning_format};
  if (options.format == nullptr) return options;
  const auto tail = prompt_ids.last(std::min(prompt_ids.size(), kPromptTail));
  const std::string end =
      text.tokenizer.decode(tail, {.special_tokens = SpecialTokensInOutput::kept});
  if (prompt_opens_reasoning(*options.format, end)) options.start = ReasoningStart::inside;
  return options;
}

void check_tools(const Request& request, const Tools& tools, const TextModel& text) {
  const bool is_required = request.tools.choice == ToolChoice::required;
  if (is_required && !tools.has_any()) {
    throw Error(
        ErrorCode::invalid_value,
        "tool_choice asks for a call, but there are no tools",
        "tool_choice"
    );
  }
  if (!tools.has_any()) return;
  if (text.tool_format == nullptr)
    unsupported("this model's way to call tools is not known", "tools");
  if (request.constraint) {
    unsupported(
        "a constraint on the text and tools that may be called do not go together; leave one out, "
        "or "
        "set tool_choice to none",
        request.constraint->param.empty() ? "constraint" : request.constraint->param
    );
  }
}

// The variable by which templates are told to leave the reasoning out: a constraint then holds from
// the first token on.
bool has_thinking_off(const ChatPrompt& chat) {
  if (chat.template_kwargs_json.empty()) return false;
  const json::value variables = parse_json(chat.template_kwargs_json);
  const json::object* object = variables.if_object();
  const json::value* value = object != nullptr ? object->if_contains("enable_thinking") : nullptr;
  return value != nullptr && *value == false;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

// What only a conversation has.
void plan_chat(
    const Request& request,
    std::span<const std::int32_t> prompt_ids,
    const TextModel& text,
    OutputPlan& plan
) {
  const Tools tools = tools_of(std::get<ChatPrompt>(request.prompt), request.tools);
  check_tools(request, tools, text);
  OutputParserOptions options{.reasoning = reasoning_of(prompt_ids, text), .tools = {}};
  if (tools.has_any()) {
    options.tools.format = text.tool_format;
    options.tools.id_seed = random_seed();
    for (const ToolFunction& function : tools.functions)
      options.tools.names.push_back(function.name);
    plan.guide.grammar = tool_grammar(tools, request.tools, text);
    options.reasoning.other_ends = text.tool_format->opening_marks;
  }
  if (!has_thinking_off(std::get<ChatPrompt>(request.prompt)))
    plan.guide.reasoning = options.reasoning;
  if (options.reasoning.format == nullptr && options.tools.format == nullptr) return;
  plan.written_special_ids = special_ids_in_output(text.tokenizer, options);
  plan.parser = std::move(options);
}

}  // namespace

void make_guides(OutputPlan& plan, std::size_t count, const TextModel& text) {
  if (!plan.guide.grammar && !plan.guide.max_reasoning_tokens) return;
  for (std::size_t i = 0; i < count; ++i) {
    auto guide = std::make_unique<OutputGuide>(text, plan.guide);
    if (guide->mask()) static_cast<void>(guide->mask()->words());
    if (guide->is_done()) guide.reset();
    plan.guides.push_back(std::move(guide));
  }
}

bool needs_grammar(const Request& request) {
  if (request.constraint || request.tools.choice == ToolChoice::required) return true;
  const auto* chat = std::get_if<ChatPrompt>(&request.prompt);
  return chat != nullptr && !chat->tools_json.empty() &&
         (!request.tools.is_parallel || chat->tools_json.find("strict") != std::string::npos);
}

OutputPlan plan_output(
    const Request& request, std::span<const std::int32_t> prompt_ids, const TextModel& text
) {
  OutputPlan plan;
  if (std::holds_alternative<ChatPrompt>(request.prompt)) {
    plan_chat(request, prompt_ids, text, plan);
  } else if (request.tools.choice == ToolChoice::required) {
    unsupported("only conversations have tools", "tool_choice");
  }
  if (request.constraint) {
    const Constraint& constraint = *request.constraint;
    plan.guide.grammar = compile(
        {.kind = to_grammar_kind(constraint.kind), .text = constraint.text},
        text,
        constraint.param.empty() ? "constraint" : constraint.param
    );
  }
  if (plan.guide.reasoning.format != nullptr)
    plan.guide.max_reasoning_tokens = request.reasoning.max_tokens;
  if (request.reasoning.max_tokens && text.reasoning_format == nullptr)
    unsupported(
        "this model does not think before it answers, so that there is nothing to limit",
        "thinking_token_budget"
    );
  return plan;
}

}  // namespace mlxs
