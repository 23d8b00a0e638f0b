// A conversation's special tokens come from its template, so none are added to it.
#include "engine/prompt_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/plain_tools.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "mlx_serving/request.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

// No vocabulary has longer tokens worth speaking of, so a longer text cannot fit and is not worth
// tokenizing.
constexpr std::size_t kMaxBytesPerToken = 256;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

std::string render_chat(const ChatPrompt& prompt, const ModelInfo& info, const TextModel& text) {
  const std::optional<ChatTemplate>& chat_template = text.chat_template;
  if (!chat_template) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("the model '{}' has no chat template; send a plain prompt instead", info.name),
        "messages"
    );
  }
  if (text.template_has_tools) return chat_template->render(prompt) + prompt.prefill;
  return chat_template->render(add_plain_tools(prompt)) + prompt.prefill;
}

std::vector<std::int32_t> prompt_ids(
    const Prompt& prompt, const ModelInfo& info, const TextModel& text
) {
  const auto encode = [&](std::string_view words, AddSpecialTokens add) {
    const auto max_bytes = static_cast<std::size_t>(info.context_length) * kMaxBytesPerToken;
    if (words.size() > max_bytes) {
      throw Error(
          ErrorCode::context_length_exceeded,
          fmt::format(
              "the prompt has {} bytes, more than {} tokens can hold",
              words.size(),
              info.context_length
          ),
          "prompt"
      );
    }
    return text.tokenizer.encode(words, {.add_special_tokens = add});
  };
  return std::visit(
      Overloaded{
          [](const std::vector<std::int32_t>& ids) { return ids; },
          [&](const std::string& words) { return encode(words, AddSpecialTokens::yes); },
          [&](const ChatPrompt& chat) {
            return encode(render_chat(chat, info, text), AddSpecialTokens::no);
          },
      },
      prompt
  );
}

void truncate_prompt(
    const Request& request, const ModelInfo& info, std::vector<std::int32_t>& token_ids
) {
  if (!request.truncate_prompt_tokens) return;
  const int room = info.context_length - request.stop.max_tokens.value_or(1);
  const int most = *request.truncate_prompt_tokens < 0 ? room : *request.truncate_prompt_tokens;
  const int num_cut = static_cast<int>(token_ids.size()) - std::max(most, 1);
  if (num_cut > 0) token_ids.erase(token_ids.begin(), token_ids.begin() + num_cut);
}

}  // namespace mlxs
