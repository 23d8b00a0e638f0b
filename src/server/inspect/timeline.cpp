// Up to the finish only what the server saw is known; the finish brings the engine's own times.
#include "server/inspect/timeline.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "server/inspect/request_log.h"
#include "server/openai/field_reader.h"
#include "server/openai/reply.h"

namespace mlxs {
namespace {

void add_event(json::array& events, std::string_view name, double at_ms) {
  events.push_back({{"event", to_json_view(name)}, {"at_ms", at_ms}});
}

std::string_view state_of(const ChoiceRecord& choice) {
  if (!choice.ended_ms) {
    if (choice.first_token_ms) return "running";
    return choice.prompt_tokens ? "accepted" : "queued";
  }
  if (!choice.finish || choice.finish->reason == FinishReason::cancelled) return "cancelled";
  return choice.finish->reason == FinishReason::error ? "failed" : "finished";
}

// By the engine's clock where it has one for all of a request, so that the events are in order.
double end_of(const ChoiceRecord& choice) {
  if (!choice.finish) return choice.ended_ms.value_or(0.0);
  const Timings& timings = choice.finish->timings;
  return timings.queue_ms + timings.prefill_ms + timings.decode_ms;
}

json::array events_of(const ChoiceRecord& choice) {
  json::array events;
  add_event(events, "queued", 0.0);
  if (choice.finish) {
    const Timings& timings = choice.finish->timings;
    const bool has_started = timings.prefill_ms > 0.0;
    if (has_started) add_event(events, "admitted", timings.queue_ms);
    if (choice.first_token_ms)
      add_event(events, "first_token", timings.queue_ms + timings.prefill_ms);
  } else if (choice.first_token_ms) {
    add_event(events, "first_token", *choice.first_token_ms);
  }
  if (choice.ended_ms) add_event(events, state_of(choice), end_of(choice));
  return events;
}

json::object choice_object(const ChoiceRecord& choice) {
  json::object object;
  object["state"] = to_json_view(state_of(choice));
  object["events"] = events_of(choice);
  if (!choice.finish) {
    if (choice.prompt_tokens) object["prompt_tokens"] = *choice.prompt_tokens;
    return object;
  }
  const Finish& finish = *choice.finish;
  object["finish_reason"] = to_json_view(finish_reason_name(finish.reason));
  if (finish.error) {
    const std::string_view code = error_code_info(finish.error->code()).name;
    object["error"] = {{"code", to_json_view(code)}, {"message", finish.error->what()}};
  }
  object["usage"] = usage_object(finish.usage);
  object["prompt_chunks"] = finish.course.num_prompt_chunks;
  object["preemptions"] = finish.course.num_preemptions;
  object["cache_miss"] = cache_miss_object(finish.cache);
  object["timings"] = {
      {"queue_ms", finish.timings.queue_ms},
      {"prefill_ms", finish.timings.prefill_ms},
      {"decode_ms", finish.timings.decode_ms}
  };
  return object;
}

}  // namespace

json::object timeline_object(const RequestRecord& record) {
  json::array choices;
  for (const ChoiceRecord& choice : record.choices) choices.push_back(choice_object(choice));
  json::object object;
  object["id"] = record.id;
  object["object"] = "request";
  object["created_ms"] = record.created_ms;
  object["choices"] = std::move(choices);
  return object;
}

}  // namespace mlxs
