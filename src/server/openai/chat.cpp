// POST /v1/chat/completions: the form of its choices.
#include <cstddef>
#include <optional>
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

class ChatFormat final : public ReplyFormat {
 public:
  [[nodiscard]] std::string_view id_prefix() const override { return "chatcmpl-"; }
  [[nodiscard]] std::string_view whole_name() const override { return "chat.completion"; }
  [[nodiscard]] std::string_view chunk_name() const override { return "chat.completion.chunk"; }
  [[nodiscard]] std::string_view prompt_param() const override { return "messages"; }
  [[nodiscard]] LogprobForm logprob_form() const override { return LogprobForm::chat; }

  [[nodiscard]] json::object whole_choice(
      std::size_t index, std::string_view text, FinishReason reason
  ) const override {
    json::object message;
    message["role"] = "assistant";
    message["content"] = to_json_view(text);
    message["refusal"] = nullptr;
    json::object choice;
    choice["index"] = index;
    choice["message"] = std::move(message);
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = finish_word(reason);
    return choice;
  }

  [[nodiscard]] std::optional<json::object> opening_choice(std::size_t index) const override {
    json::object delta;
    delta["role"] = "assistant";
    delta["content"] = "";
    return chunk_choice(index, std::move(delta), nullptr);
  }

  [[nodiscard]] json::object delta_choice(std::size_t index, std::string_view text) const override {
    json::object delta;
    delta["content"] = to_json_view(text);
    return chunk_choice(index, std::move(delta), nullptr);
  }

  [[nodiscard]] json::object closing_choice(std::size_t index, FinishReason reason) const override {
    return chunk_choice(index, json::object(), finish_word(reason));
  }
};

}  // namespace

Task<void> handle_chat(const ApiContext& context, Exchange& exchange) {
  const ChatFormat format;
  Call call = parse_chat_call(exchange.request().body, context.model);
  co_await answer_call(context, exchange, std::move(call), format);
}

}  // namespace mlxs
