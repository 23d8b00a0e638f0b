// What asks for OpenAI's own tools or storage is refused by name.
#include "server/responses/call.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
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
#include "server/door/neutral_fields.h"
#include "server/http/service.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"
#include "server/openai/messages.h"
#include "server/openai/tool_fields.h"
#include "server/responses/input_items.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr NumberRule kTemperature{"temperature", 0.0, 2.0};
constexpr NumberRule kTopP{"top_p", 0.0, 1.0};
constexpr IntegerRule kMaxOutputTokens{"max_output_tokens", 1, kInt32Max};
constexpr IntegerRule kMaxToolCalls{"max_tool_calls", 1, kInt32Max};
constexpr std::size_t kMaxMetadata = 16;
constexpr std::array<std::string_view, 2> kEmpty = {"context_management", "conversation"};
constexpr IntegerRule kTopLogprobs{"top_logprobs", 0, 20};
constexpr std::string_view kIncludeLogprobs = "message.output_text.logprobs";

void read_model(FieldReader& fields, const ApiModel& model, ResponsesCall& call) {
  const auto name = fields.string("model");
  if (!name) throw Error(ErrorCode::invalid_request, "you must provide a model parameter", "model");
  check_model_name(model, *name);
  call.echo["model"] = to_json_view(*name);
}

void read_sampling(FieldReader& fields, const ApiModel& model, ResponsesCall& call) {
  Request& request = call.door.request;
  request.sampling = model.info.default_sampling;
  if (const auto value = fields.number(kTemperature)) request.sampling.temperature = *value;
  call.echo["temperature"] = request.sampling.temperature;
  const auto top_p = fields.number(kTopP);
  call.echo["top_p"] = top_p.value_or(request.sampling.top_p);
  // A top_p of 0 asks for the best token.
  if (top_p) request.sampling.top_p = std::max(*top_p, std::numeric_limits<float>::min());
  const auto max_tokens = fields.integer(kMaxOutputTokens);
  call.echo["max_output_tokens"] = nullptr;
  if (!max_tokens) return;
  request.stop.max_tokens = static_cast<int>(*max_tokens);
  call.echo["max_output_tokens"] = *max_tokens;
}

// Of what a response may include there are only the log probabilities.
void read_logprobs(FieldReader& fields, ResponsesCall& call) {
  const auto num_top = fields.integer(kTopLogprobs);
  bool is_included = false;
  if (const json::array* include = fields.array("include")) {
    for (std::size_t i = 0; i < include->size(); ++i) {
      const std::string path = element_path(fields.path_of("include"), i);
      if (checked_string((*include)[i], path) != kIncludeLogprobs) throw_unsupported(path);
      is_included = true;
    }
  }
  call.echo["top_logprobs"] = num_top.value_or(0);
  if (num_top.value_or(0) > 0 || is_included)
    call.door.request.sampling.logprobs.num_top = static_cast<int>(num_top.value_or(0));
}

void read_text_options(FieldReader& fields, ResponsesCall& call) {
  const json::value* value = fields.any("text");
  if (value == nullptr) return;
  FieldReader text(*value, fields.path_of("text"));
  text.refuse({"verbosity"});
  if (const json::value* format = text.any("format")) {
    call.door.request.constraint = read_format(*format, text.path_of("format"));
    call.echo["text"] = json::object{{"format", *format}};
  }
  text.finish();
}

void read_reasoning(FieldReader& fields) {
  const json::value* value = fields.any("reasoning");
  if (value == nullptr) return;
  FieldReader reasoning(*value, fields.path_of("reasoning"));
  const auto effort = reasoning.string("effort");
  if (effort && *effort != "none") throw_unsupported(reasoning.path_of("effort"));
  reasoning.refuse({"summary", "generate_summary"});
  reasoning.finish();
}

// A function has no object of its own here, which templates want.
json::object read_tool(const json::value& value, const std::string& path) {
  FieldReader tool(value, path);
  const auto type = tool.string("type");
  if (!type) throw Error(ErrorCode::invalid_request, path + ".type is missing", path + ".type");
  if (*type != "function") {
    throw Error(
        ErrorCode::unsupported,
        fmt::format(
            "{}.type {} is not supported by this server; only functions are",
            path,
            json_quote(type->substr(0, 40))
        ),
        path + ".type"
    );
  }
  json::object function = value.as_object();
  function.erase("type");
  tool.accept({"name", "description", "parameters", "strict"});
  tool.finish();
  return {{"type", "function"}, {"function", std::move(function)}};
}

void read_tools(FieldReader& fields, ResponsesCall& call) {
  check_empty(fields, kEmpty);
  static_cast<void>(fields.integer(kMaxToolCalls));
  call.door.request.tools = read_tool_params(fields);
  call.echo["parallel_tool_calls"] = call.door.request.tools.is_parallel;
  if (const json::value* choice = fields.any("tool_choice")) call.echo["tool_choice"] = *choice;
  const json::array* tools = fields.array("tools");
  if (tools == nullptr || tools->empty()) return;
  call.echo["tools"] = *tools;
  json::array functions;
  for (std::size_t i = 0; i < tools->size(); ++i)
    functions.push_back(read_tool((*tools)[i], element_path("tools", i)));
  std::string text = normalize_tools(functions, "tools");
  if (call.door.request.tools.choice != ToolChoice::none) call.tools_json = std::move(text);
}

void read_metadata(FieldReader& fields, ResponsesCall& call) {
  call.echo["metadata"] = json::object();
  const json::object* metadata = fields.object("metadata");
  if (metadata == nullptr) return;
  if (metadata->size() > kMaxMetadata) {
    throw Error(
        ErrorCode::invalid_value,
        fmt::format("metadata has {} entries, the limit is {}", metadata->size(), kMaxMetadata),
        "metadata"
    );
  }
  for (const auto& entry : *metadata) {
    static_cast<void>(
        checked_string(entry.value(), "metadata." + std::string(to_view(entry.key()).substr(0, 64)))
    );
  }
  call.echo["metadata"] = *metadata;
}

void read_harmless(FieldReader& fields, ResponsesCall& call) {
  for (const std::string_view name :
       {"safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
    static_cast<void>(fields.string(name));
  const auto user = fields.string("user");
  call.echo["user"] = user ? json::value(to_json_view(*user)) : json::value(nullptr);
  const auto tier = fields.word("service_tier", {"auto", "default", "flex", "priority", "scale"});
  if (tier && *tier != "auto" && *tier != "default") throw_unsupported("service_tier");
  // auto would shorten the conversation, which this server never does
  const auto truncation = fields.word("truncation", {"auto", "disabled"});
  if (truncation && *truncation == "auto") throw_unsupported("truncation");
}

void read_stream(FieldReader& fields, ResponsesCall& call) {
  const bool is_stream = fields.boolean("stream").value_or(false);
  call.door.mode = is_stream ? ReplyMode::stream : ReplyMode::whole;
  if (const json::value* value = fields.any("stream_options")) {
    FieldReader options(*value, "stream_options");
    options.accept({"include_obfuscation"});  // padding against a watcher of sizes; none is sent
    options.finish();
  }
  call.is_stored = fields.boolean("store").value_or(true);
  call.is_background = fields.boolean("background").value_or(false);
  if (call.is_background && !call.is_stored) {
    throw Error(
        ErrorCode::invalid_value, "a response in the background must be stored", "background"
    );
  }
  if (call.is_background && is_stream) {
    throw Error(
        ErrorCode::unsupported,
        "background and stream together are not supported by this server; leave one out",
        "background"
    );
  }
}

// What both bodies have.
void read_conversation(FieldReader& fields, IdSource& ids, ResponsesCall& call) {
  const auto instructions = fields.string("instructions");
  call.instructions = std::string(instructions.value_or(""));
  call.echo["instructions"] =
      instructions ? json::value(to_json_view(*instructions)) : json::value(nullptr);
  const auto previous = fields.string("previous_response_id");
  call.previous_response_id = std::string(previous.value_or(""));
  call.echo["previous_response_id"] =
      previous ? json::value(to_json_view(*previous)) : json::value(nullptr);
  read_tools(fields, call);
  read_text_options(fields, call);
  read_reasoning(fields);
  fields.refuse({"prompt", "moderation", "image", "access_programs", "background_options"});
  fields.accept({"prompt_cache_options"});
  call.input = read_response_input(fields, ids);
}

}  // namespace

ResponsesCall parse_responses_call(std::string_view body, const ApiModel& model, IdSource& ids) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  ResponsesCall call;
  read_model(fields, model, call);
  read_sampling(fields, model, call);
  read_metadata(fields, call);
  read_harmless(fields, call);
  read_stream(fields, call);
  read_logprobs(fields, call);
  read_conversation(fields, ids, call);
  fields.finish();
  return call;
}

ResponsesCall parse_input_tokens_call(std::string_view body, const ApiModel& model, IdSource& ids) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  ResponsesCall call;
  read_model(fields, model, call);
  read_harmless(fields, call);
  read_conversation(fields, ids, call);
  fields.finish();
  return call;
}

}  // namespace mlxs
