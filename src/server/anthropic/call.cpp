// What asks for tools, thinking or a form of the output is refused by name.
#include "server/anthropic/call.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "server/anthropic/messages.h"
#include "server/door/answer_one.h"
#include "server/door/stop_strings.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr IntegerRule kMaxTokens{"max_tokens", 1, kInt32Max};
constexpr IntegerRule kTopK{"top_k", 0, kInt32Max};
constexpr NumberRule kTemperature{"temperature", 0.0, 1.0};
constexpr NumberRule kTopP{"top_p", 0.0, 1.0};

[[noreturn]] void unsupported(const std::string& path, std::string_view what) {
  throw Error(
      ErrorCode::unsupported,
      fmt::format("{} is not supported by this server; {}", path, what),
      path
  );
}

std::string read_model(FieldReader& fields, const ApiModel& model) {
  const auto name = fields.string("model");
  if (!name) throw Error(ErrorCode::invalid_request, "model is missing", "model");
  check_model_name(model, *name);
  return std::string(*name);
}

void read_sampling(FieldReader& fields, SamplingParams& sampling) {
  if (const auto value = fields.number(kTemperature)) sampling.temperature = *value;
  // As in OpenAI's door: 0 asks for the best token.
  if (const auto value = fields.number(kTopP))
    sampling.top_p = std::max(*value, std::numeric_limits<float>::min());
  if (const auto value = fields.integer(kTopK)) sampling.top_k = static_cast<int>(*value);
}

// Empty lists and what is switched off ask for nothing.
void check_features(FieldReader& fields) {
  const json::array* tools = fields.array("tools");
  if (tools != nullptr && !tools->empty()) unsupported("tools", "leave it out");
  if (const json::value* choice = fields.any("tool_choice")) {
    FieldReader reader(*choice, "tool_choice");
    const auto type = reader.word("type", {"auto", "any", "tool", "none"});
    if (type && *type != "auto" && *type != "none") unsupported("tool_choice", "leave it out");
    reader.accept({"disable_parallel_tool_use"});
    reader.finish();
  }
  if (const json::value* thinking = fields.any("thinking")) {
    FieldReader reader(*thinking, "thinking");
    const auto type = reader.word("type", {"enabled", "disabled", "adaptive"});
    if (!type || *type != "disabled") unsupported("thinking", "leave it out");
    reader.finish();
  }
  const json::array* servers = fields.array("mcp_servers");
  if (servers != nullptr && !servers->empty()) unsupported("mcp_servers", "leave it out");
  fields.refuse({"container", "context_management", "output_config", "output_format", "diagnostics"}
  );
}

void check_harmless(FieldReader& fields) {
  static_cast<void>(fields.word("service_tier", {"auto", "standard_only"}));
  static_cast<void>(fields.string("inference_geo"));
  const auto speed = fields.word("speed", {"standard", "fast"});
  if (speed && *speed == "fast") unsupported("speed fast", "leave it out");
  if (const json::value* metadata = fields.any("metadata")) {
    FieldReader reader(*metadata, "metadata");
    static_cast<void>(reader.string("user_id"));
    reader.finish();
  }
  if (const json::value* control = fields.any("cache_control")) {
    FieldReader reader(*control, "cache_control");
    reader.accept({"type", "ttl"});
    reader.finish();
  }
}

void take_chat(FieldReader& fields, AnthropicCall& call) {
  AnthropicChat chat = read_anthropic_chat(fields);
  ChatPrompt prompt;
  prompt.messages_json = std::move(chat.messages_json);
  call.door.request.prompt = std::move(prompt);
  call.door.prefill = std::move(chat.prefill);
}

}  // namespace

AnthropicCall parse_messages_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  AnthropicCall call;
  call.model = read_model(fields, model);
  Request& request = call.door.request;
  request.sampling = model.info.default_sampling;
  const auto max_tokens = fields.integer(kMaxTokens);
  if (!max_tokens) throw Error(ErrorCode::invalid_request, "max_tokens is missing", "max_tokens");
  request.stop.max_tokens = static_cast<int>(*max_tokens);
  read_sampling(fields, request.sampling);
  read_stop_strings(fields, "stop_sequences", request.stop);
  if (fields.boolean("stream").value_or(false)) call.door.mode = ReplyMode::stream;
  check_features(fields);
  check_harmless(fields);
  take_chat(fields, call);
  fields.finish();
  return call;
}

AnthropicCall parse_count_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  AnthropicCall call;
  call.model = read_model(fields, model);
  check_features(fields);
  check_harmless(fields);
  take_chat(fields, call);
  fields.finish();
  return call;
}

}  // namespace mlxs
