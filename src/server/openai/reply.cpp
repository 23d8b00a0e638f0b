// Field order follows OpenAI's own replies, for readers of raw streams.
#include "server/openai/reply.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/event.h"
#include "server/openai/field_reader.h"

namespace mlxs {

json::object reply_object(const ReplyHead& head, std::string_view name) {
  json::object object;
  object["id"] = head.id;
  object["object"] = to_json_view(name);
  object["created"] = head.created;
  object["model"] = head.model;
  object["system_fingerprint"] = head.fingerprint;
  return object;
}

json::object usage_object(const Usage& usage) {
  json::object details;
  details["cached_tokens"] = usage.cached_tokens;
  json::object object;
  object["prompt_tokens"] = usage.prompt_tokens;
  object["completion_tokens"] = usage.completion_tokens;
  object["total_tokens"] = std::int64_t{usage.prompt_tokens} + usage.completion_tokens;
  object["prompt_tokens_details"] = std::move(details);
  object["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning_tokens}};
  return object;
}

json::object cache_miss_object(const CacheReport& report) {
  json::object object;
  object["reason"] = to_json_view(cache_miss_name(report.miss));
  object["first_differing_token"] = report.first_differing_token >= 0
                                        ? json::value(report.first_differing_token)
                                        : json::value(nullptr);
  return object;
}

json::string_view finish_word(const Finish& finish) {
  if (finish.reason == FinishReason::length) return "length";
  return finish.num_tool_calls > 0 ? "tool_calls" : "stop";
}

// JSON text has no line breaks of its own, so one data line holds it.
std::string sse_event(std::string_view body) {
  std::string event = "data: ";
  event += body;
  event += "\n\n";
  return event;
}

}  // namespace mlxs
