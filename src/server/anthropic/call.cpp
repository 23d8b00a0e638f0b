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
#include "server/anthropic/tools.h"
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

void take_chat(FieldReader& fields, const ApiModel& model, AnthropicCall& call) {
  ChatPrompt prompt;
  read_anthropic_features(fields, model, call.door.request, prompt);
  AnthropicChat chat = read_anthropic_chat(fields);
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
  check_harmless(fields);
  take_chat(fields, model, call);
  fields.finish();
  return call;
}

AnthropicCall parse_count_call(std::string_view body, const ApiModel& model) {
  const json::value value = parse_json(body);
  FieldReader fields(value, "");
  AnthropicCall call;
  call.model = read_model(fields, model);
  check_harmless(fields);
  take_chat(fields, model, call);
  fields.finish();
  return call;
}

}  // namespace mlxs
