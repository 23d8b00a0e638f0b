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
#include "server/openai/tool_fields.h"
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
  if (finish.num_tool_calls > 0) return "tool_use";
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
    return event("message_start", std::move(start)) + event("ping", {});
  }

  [[nodiscard]] std::string delta(const Event& part) override {
    std::string out;
    if (!part.reasoning.empty()) {
      out += open_block("thinking", {{"thinking", ""}, {"signature", ""}});
      out += block_delta("thinking_delta", "thinking", part.reasoning);
    }
    if (!part.text.empty()) {
      out += open_block("text", {{"text", ""}});
      out += block_delta("text_delta", "text", part.text);
    }
    for (const ToolCallDelta& call : part.tool_calls) {
      if (!call.id.empty()) {
        out += close_block();
        out += open_block(
            "tool_use", {{"id", call.id}, {"name", call.name}, {"input", json::object()}}
        );
      }
      if (!call.arguments.empty())
        out += block_delta("input_json_delta", "partial_json", call.arguments);
    }
    return out;
  }

  [[nodiscard]] std::string closing(const DoorResult& result) override {
    json::object delta;
    delta["stop_reason"] = stop_reason(result.finish);
    delta["stop_sequence"] = stop_sequence(result.finish);
    json::object body;
    body["delta"] = std::move(delta);
    body["usage"] = usage_object(result.finish.usage);
    // An answer has at least one block.
    std::string out = num_blocks_ == 0 ? open_block("text", {{"text", ""}}) : std::string();
    out += close_block();
    return out + event("message_delta", std::move(body)) + event("message_stop", {});
  }

  [[nodiscard]] std::string broken(const HttpFault& fault) override {
    return named_event("error", render_anthropic_fault(fault, request_id_));
  }

  [[nodiscard]] std::string whole(const DoorResult& result) override {
    json::object message = message_object();
    message["content"] = content_of(result);
    message["stop_reason"] = stop_reason(result.finish);
    message["stop_sequence"] = stop_sequence(result.finish);
    message["usage"] = usage_object(result.finish.usage);
    return json::serialize(message);
  }

 private:
  // A block ends where one of another kind begins.
  std::string open_block(std::string_view type, const json::object& members) {
    if (type == open_type_) return {};
    std::string out = close_block();
    open_type_ = type;
    json::object block;
    block["type"] = to_json_view(type);
    for (const auto& member : members) block[member.key()] = member.value();
    json::object body;
    body["index"] = num_blocks_++;
    body["content_block"] = std::move(block);
    return out + event("content_block_start", body);
  }

  std::string close_block() {
    if (open_type_.empty()) return {};
    open_type_.clear();
    json::object body;
    body["index"] = num_blocks_ - 1;
    return event("content_block_stop", body);
  }

  std::string block_delta(std::string_view type, std::string_view member, const std::string& text) {
    json::object delta;
    delta["type"] = to_json_view(type);
    delta[to_json_view(member)] = text;
    json::object body;
    body["index"] = num_blocks_ - 1;
    body["delta"] = std::move(delta);
    return event("content_block_delta", body);
  }

  [[nodiscard]] static json::array content_of(const DoorResult& result) {
    json::array content;
    if (!result.reasoning.empty())
      content.push_back(
          json::object{{"type", "thinking"}, {"thinking", result.reasoning}, {"signature", ""}}
      );
    if (!result.text.empty() || result.tool_calls.empty())
      content.push_back(json::object{{"type", "text"}, {"text", result.text}});
    for (const ToolCallDelta& call : result.tool_calls) {
      auto input = arguments_object(call);
      if (!input) continue;
      content.push_back(json::object{
          {"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", std::move(*input)}
      });
    }
    return content;
  }

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
  std::string open_type_;  // of the block that is open; empty: none
  int num_blocks_ = 0;
};

}  // namespace

Task<void> handle_messages(const ApiContext& context, Exchange& exchange) {
  AnthropicCall call = parse_messages_call(exchange.request().body, context.model);
  MessagesForm form(context.service.ids.next("msg_"), exchange.request().id, call.model);
  co_await answer_one(context, exchange, std::move(call.door), form);
}

Task<void> handle_messages_count(const ApiContext& context, Exchange& exchange) {
  const AnthropicCall call = parse_count_call(exchange.request().body, context.model);
  ChatPrompt chat = std::get<ChatPrompt>(call.door.request.prompt);
  chat.prefill = call.door.prefill;
  const std::size_t num_tokens =
      co_await context.offload.run([&] { return context.engine.prompt_token_ids(chat).size(); });
  json::object body;
  body["input_tokens"] = num_tokens;
  co_await exchange.respond(json_response(body));
}

}  // namespace mlxs
