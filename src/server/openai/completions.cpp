// POST /v1/completions: the form of its choices.
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

json::object text_choice(std::size_t index, std::string_view text, json::value finish_reason) {
  json::object choice;
  choice["index"] = index;
  choice["text"] = to_json_view(text);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(finish_reason);
  return choice;
}

class CompletionFormat final : public ReplyFormat {
 public:
  [[nodiscard]] std::string_view id_prefix() const override { return "cmpl-"; }
  [[nodiscard]] std::string_view whole_name() const override { return "text_completion"; }
  [[nodiscard]] std::string_view chunk_name() const override { return "text_completion"; }
  [[nodiscard]] std::string_view prompt_param() const override { return "prompt"; }
  [[nodiscard]] LogprobForm logprob_form() const override { return LogprobForm::completion; }

  [[nodiscard]] json::object whole_choice(std::size_t index, const ChoiceResult& result)
      const override {
    return text_choice(index, result.text, finish_word(result.finish));
  }
  [[nodiscard]] std::optional<json::object> opening_choice(std::size_t) const override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<json::object> delta_choice(std::size_t index, const Event& event)
      const override {
    if (event.text.empty()) return std::nullopt;
    return text_choice(index, event.text, nullptr);
  }
  [[nodiscard]] json::object empty_choice(std::size_t index) const override {
    return text_choice(index, "", nullptr);
  }
  [[nodiscard]] json::object closing_choice(std::size_t index, const Finish& finish)
      const override {
    return text_choice(index, "", finish_word(finish));
  }
};

}  // namespace

Task<void> handle_completion(const ApiContext& context, Exchange& exchange) {
  const CompletionFormat format;
  Call call = parse_completion_call(exchange.request().body, context.model);
  co_await answer_call(context, exchange, std::move(call), format);
}

}  // namespace mlxs
