// POST /v1/messages and /v1/messages/count_tokens: the form of the answers.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/anthropic/call.h"
#include "server/anthropic/error_body.h"
#include "server/anthropic/routes.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/openai/field_reader.h"
#include "server/prompt/prompt_body.h"

namespace mlxs {
namespace {

// Tokens that were computed before are counted apart.
json::object usage_object(const Usage& usage) {
  json::object object;
  object["input_tokens"] = usage.prompt_tokens - usage.cached_tokens;
  object["cache_creation_input_tokens"] = 0;
  object["cache_read_input_tokens"] = usage.cached_tokens;
  object["output_tokens"] = usage.completion_tokens;
  return object;
}

json::string_view stop_reason(const Finish& finish) {
  if (finish.reason == FinishReason::length) return "max_tokens";
  return finish.stop_string.empty() ? "end_turn" : "stop_sequence";
}

json::value stop_sequence(const Finish& finish) {
  if (finish.stop_string.empty()) return nullptr;
  return json::string(finish.stop_string);
}

class MessagesForm final : public DoorForm {
 public:
  MessagesForm(std::string id, std::string request_id, std::string model)
      : id_(std::move(id)), request_id_(std::move(request_id)), model_(std::move(model)) {}

  [[nodiscard]] std::string_view stream_type() const override {
    return "text/event-stream; charset=utf-8";
  }
  [[nodiscard]] std::string_view prompt_param() const override { return "messages"; }

  [[nodiscard]] std::string opening(int prompt_tokens) override {
    json::object message = message_object();
    message["content"] = json::array();
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    Usage usage;
    usage.prompt_tokens = prompt_tokens;
    message["usage"] = usage_object(usage);
    json::object start;
    start["message"] = std::move(message);
    json::object block;
    block["index"] = 0;
    block["content_block"] = {{"type", "text"}, {"text", ""}};
    return event("message_start", std::move(start)) +
           event("content_block_start", std::move(block)) + event("ping", {});
  }

  [[nodiscard]] std::string delta(const Event& part) override {
    if (part.text.empty()) return {};
    json::object delta;
    delta["type"] = "text_delta";
    delta["text"] = part.text;
    json::object body;
    body["index"] = 0;
    body["delta"] = std::move(delta);
    return event("content_block_delta", std::move(body));
  }

  [[nodiscard]] std::string closing(const DoorResult& result) override {
    json::object delta;
    delta["stop_reason"] = stop_reason(result.finish);
    delta["stop_sequence"] = stop_sequence(result.finish);
    json::object body;
    body["delta"] = std::move(delta);
    body["usage"] = usage_object(result.finish.usage);
    json::object block;
    block["index"] = 0;
    return event("content_block_stop", std::move(block)) + event("message_delta", std::move(body)) +
           event("message_stop", {});
  }

  [[nodiscard]] std::string broken(const HttpFault& fault) override {
    return named_event("error", render_anthropic_fault(fault, request_id_));
  }

  [[nodiscard]] std::string whole(const DoorResult& result) override {
    json::object block;
    block["type"] = "text";
    block["text"] = result.text;
    json::array content;
    content.push_back(std::move(block));
    json::object message = message_object();
    message["content"] = std::move(content);
    message["stop_reason"] = stop_reason(result.finish);
    message["stop_sequence"] = stop_sequence(result.finish);
    message["usage"] = usage_object(result.finish.usage);
    return json::serialize(message);
  }

 private:
  [[nodiscard]] json::object message_object() const {
    json::object message;
    message["id"] = id_;
    message["type"] = "message";
    message["role"] = "assistant";
    message["model"] = model_;
    return message;
  }

  // The type of each event is also its name.
  static std::string event(std::string_view type, const json::object& members) {
    json::object body;
    body["type"] = to_json_view(type);
    for (const auto& member : members) body[member.key()] = member.value();
    return named_event(type, json::serialize(body));
  }

  std::string id_;
  std::string request_id_;
  std::string model_;
};

}  // namespace

Task<void> handle_messages(const ApiContext& context, Exchange& exchange) {
  AnthropicCall call = parse_messages_call(exchange.request().body, context.model);
  MessagesForm form(context.service.ids.next("msg_"), exchange.request().id, call.model);
  co_await answer_one(context, exchange, std::move(call.door), form);
}

Task<void> handle_messages_count(const ApiContext& context, Exchange& exchange) {
  const AnthropicCall call = parse_count_call(exchange.request().body, context.model);
  const ChatPrompt& chat = std::get<ChatPrompt>(call.door.request.prompt);
  const std::size_t num_tokens = co_await context.offload.run([&] {
    return context.engine.tokenize(context.engine.apply_template(chat) + call.door.prefill).size();
  });
  json::object body;
  body["input_tokens"] = num_tokens;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
