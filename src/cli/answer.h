// What generate and chat share: reading a prompt, asking the engine, streaming the answer.
#pragma once

#include <functional>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {

struct ChatMessage {
  std::string role;
  std::string content;
};

// RETURNS: the messages as the JSON that a ChatPrompt takes.
[[nodiscard]] std::string messages_json(const std::vector<ChatMessage>& messages);

// ERRORS: invalid_value where `text` is not UTF-8; `what` says in words what it is.
void check_utf8(std::string_view text, std::string_view what);

struct FullAnswer {
  std::string text;
  std::vector<std::int32_t> token_ids;
  int num_prompt_tokens = 0;
  Finish finish;
  int signal = 0;  // that interrupted it; 0: none
};

// Submits `request` and waits for its end; a signal cancels it, a second one
// ends the process. `on_text` is called with each piece
// of text and RETURNS: whether to go on. ERRORS: what submit() throws, and the finish's error.
[[nodiscard]] FullAnswer ask(
    Engine& engine,
    Request request,
    Interrupts& interrupts,
    const std::function<bool(std::string_view)>& on_text
);

// RETURNS: tokens per second; 0 where nothing could be measured.
[[nodiscard]] double prefill_tokens_per_second(const FullAnswer& answer);
[[nodiscard]] double decode_tokens_per_second(const FullAnswer& answer);

// RETURNS: "12 prompt tokens, 34 tokens, first after 0.8 s, then 6.1 token/s".
[[nodiscard]] std::string describe_speed(const FullAnswer& answer);

}  // namespace mlxs
