// POST /v1/chat/completions: the form of its choices.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/event.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/task.h"
#include "server/openai/answer.h"
#include "server/openai/call.h"
#include "server/openai/choice_extras.h"
#include "server/openai/field_reader.h"
#include "server/openai/reply.h"
#include "server/openai/routes.h"
#include "server/openai/tool_fields.h"

namespace mlxs {
namespace {

json::object chunk_choice(std::size_t index, json::object delta, json::value finish_reason) {
  json::object choice;
  choice["index"] = index;
  choice["delta"] = std::move(delta);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(finish_reason);
  return choice;
}

// What vLLM's clients and OpenRouter's call it.
void add_reasoning(const std::string& reasoning, json::object& to) {
  to["reasoning"] = reasoning;
  to["reasoning_content"] = reasoning;
}

class ChatFormat final : public ReplyFormat {
 public:
  explicit ChatFormat(bool shows_reasoning) : shows_reasoning_(shows_reasoning) {}

  [[nodiscard]] std::string_view id_prefix() const override { return "chatcmpl-"; }
  [[nodiscard]] std::string_view whole_name() const override { return "chat.completion"; }
  [[nodiscard]] std::string_view chunk_name() const override { return "chat.completion.chunk"; }
  [[nodiscard]] std::string_view prompt_param() const override { return "messages"; }
  [[nodiscard]] LogprobForm logprob_form() const override { return LogprobForm::chat; }

  [[nodiscard]] json::object whole_choice(std::size_t index, const ChoiceResult& result)
      const override {
    json::object message;
    message["role"] = "assistant";
    const bool has_content = !result.text.empty() || result.tool_calls.empty();
    message["content"] = has_content ? json::value(result.text) : json::value(nullptr);
    message["refusal"] = nullptr;
    if (shows_reasoning_ && !result.reasoning.empty()) add_reasoning(result.reasoning, message);
    if (!result.tool_calls.empty()) message["tool_calls"] = tool_call_array(result.tool_calls);
    json::object choice;
    choice["index"] = index;
    choice["message"] = std::move(message);
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = finish_word(result.finish);
    return choice;
  }

  [[nodiscard]] std::optional<json::object> opening_choice(std::size_t index) const override {
    json::object delta;
    delta["role"] = "assistant";
    delta["content"] = "";
    return chunk_choice(index, std::move(delta), nullptr);
  }

  [[nodiscard]] std::optional<json::object> delta_choice(std::size_t index, const Event& event)
      const override {
    json::object delta;
    if (shows_reasoning_ && !event.reasoning.empty()) add_reasoning(event.reasoning, delta);
    if (!event.text.empty()) delta["content"] = event.text;
    if (!event.tool_calls.empty()) delta["tool_calls"] = tool_call_deltas(event.tool_calls);
    if (delta.empty()) return std::nullopt;
    return chunk_choice(index, std::move(delta), nullptr);
  }

  [[nodiscard]] json::object empty_choice(std::size_t index) const override {
    json::object delta;
    delta["content"] = "";
    return chunk_choice(index, std::move(delta), nullptr);
  }

  [[nodiscard]] json::object closing_choice(std::size_t index, const Finish& finish)
      const override {
    return chunk_choice(index, json::object(), finish_word(finish));
  }

 private:
  bool shows_reasoning_;
};

}  // namespace

Task<void> handle_chat(const ApiContext& context, Exchange& exchange) {
  Call call = parse_chat_call(exchange.request().body, context.model);
  const ChatFormat format(call.reply.include_reasoning);
  co_await answer_call(context, exchange, std::move(call), format);
}

}  // namespace mlxs
