// Members that ask for features which are refused, or were not asked for, have the value that
// OpenAI's API gives them when they are not used.
#include "server/responses/response_object.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/door/answer_one.h"
#include "server/http/message.h"
#include "server/openai/error_body.h"
#include "server/openai/field_reader.h"

namespace mlxs {
namespace {

json::object response_object(const ResponseFacts& facts, std::string_view status) {
  json::object object;
  object["id"] = facts.id;
  object["object"] = "response";
  object["created_at"] = facts.created_at;
  object["status"] = to_json_view(status);
  object["background"] = facts.is_background;
  object["error"] = nullptr;
  object["incomplete_details"] = nullptr;
  object["parallel_tool_calls"] = true;
  object["text"] = {{"format", {{"type", "text"}}}};
  object["tool_choice"] = "auto";
  object["tools"] = json::array();
  for (const auto& member : facts.echo) object[member.key()] = member.value();
  object["output"] = json::array();
  object["reasoning"] = {{"effort", nullptr}, {"summary", nullptr}};
  object["service_tier"] = "default";
  object["store"] = facts.is_stored;
  object["truncation"] = "disabled";
  object["usage"] = nullptr;
  return object;
}

json::object usage_of(const Usage& usage) {
  json::object object;
  object["input_tokens"] = usage.prompt_tokens;
  object["input_tokens_details"] = {
      {"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}
  };
  object["output_tokens"] = usage.completion_tokens;
  object["output_tokens_details"] = {{"reasoning_tokens", usage.reasoning_tokens}};
  object["total_tokens"] = std::int64_t{usage.prompt_tokens} + usage.completion_tokens;
  return object;
}

// Ids of one response differ by their beginning.
std::string item_id(const ResponseFacts& facts, std::string_view prefix) {
  const std::size_t start = facts.message_id.find('_');
  return std::string(prefix) + facts.message_id.substr(start == std::string::npos ? 0 : start);
}

}  // namespace

std::string_view finished_status(const Finish& finish) {
  return finish.reason == FinishReason::length ? "incomplete" : "completed";
}

json::object text_part(const OutputPart& output) {
  json::object part;
  part["type"] = "output_text";
  part["annotations"] = json::array();
  part["logprobs"] = output.logprobs;
  part["text"] = to_json_view(output.text);
  return part;
}

json::object reasoning_part(std::string_view reasoning) {
  json::object part;
  part["type"] = "reasoning_text";
  part["text"] = to_json_view(reasoning);
  return part;
}

json::object reasoning_item(
    const ResponseFacts& facts, std::string_view status, std::string_view reasoning
) {
  json::array content;
  if (status != "in_progress") content.push_back(reasoning_part(reasoning));
  json::object item;
  item["id"] = item_id(facts, "rs");
  item["type"] = "reasoning";
  item["status"] = to_json_view(status);
  item["summary"] = json::array();
  item["content"] = std::move(content);
  return item;
}

json::object call_item(
    const ResponseFacts& facts, std::string_view status, const ToolCallDelta& call
) {
  json::object item;
  item["id"] = item_id(facts, "fc") + std::to_string(call.index);
  item["type"] = "function_call";
  item["status"] = to_json_view(status);
  item["call_id"] = call.id;
  item["name"] = call.name;
  item["arguments"] = call.arguments;
  return item;
}

json::object message_item(
    const ResponseFacts& facts, std::string_view status, const OutputPart& part
) {
  json::array content;
  if (status != "in_progress") content.push_back(text_part(part));
  json::object item;
  item["id"] = facts.message_id;
  item["type"] = "message";
  item["status"] = to_json_view(status);
  item["role"] = "assistant";
  item["content"] = std::move(content);
  return item;
}

json::object unfinished_response(const ResponseFacts& facts) {
  return response_object(facts, "in_progress");
}

json::object finished_response(
    const ResponseFacts& facts, const DoorResult& result, json::array logprobs
) {
  const std::string_view status = finished_status(result.finish);
  json::object object = response_object(facts, status);
  if (result.finish.reason == FinishReason::length)
    object["incomplete_details"] = {{"reason", "max_output_tokens"}};
  json::array output;
  if (!result.reasoning.empty()) output.push_back(reasoning_item(facts, status, result.reasoning));
  if (!result.text.empty() || result.tool_calls.empty()) {
    output.push_back(
        message_item(facts, status, {.text = result.text, .logprobs = std::move(logprobs)})
    );
  }
  for (const ToolCallDelta& call : result.tool_calls)
    output.push_back(call_item(facts, status, call));
  object["output"] = std::move(output);
  object["usage"] = usage_of(result.finish.usage);
  return object;
}

json::object failed_response(const ResponseFacts& facts, const HttpFault& fault) {
  json::object error;
  error["code"] = fault.code.empty() ? json::string_view("server_error") : to_json_view(fault.code);
  error["message"] = valid_utf8(fault.message);
  json::object object = response_object(facts, "failed");
  object["error"] = std::move(error);
  return object;
}

}  // namespace mlxs
