// What a choice has beside its text where a request asks for it: log probabilities, token ids, the
// prompt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "server/door/logprob_fields.h"
#include "server/door/logprob_json.h"

namespace mlxs {

enum class LogprobForm : std::uint8_t {
  chat,       // {"content": [...], "refusal": null}
  completion  // parallel lists
};

// Of one choice, as it grows.
class ChoiceExtras {
 public:
  // REQUIRES: the engine outlives it.
  ChoiceExtras(const Engine& engine, const TokenReply& reply, LogprobForm form);

  void add(const Event& event);

  // RETURNS: the prompt's text, once, where it is to be shown before the choice's own.
  [[nodiscard]] std::string take_echo();

  // Whether there is something to write though no text came.
  [[nodiscard]] bool has_news() const { return has_news_; }

  // Writes what was added since the last call into a choice.
  void write(json::object& choice);

  // Writes what is told of the prompt, into a choice or, for chats, into the reply.
  void write_prompt(json::object& object);

 private:
  [[nodiscard]] json::value take_logprobs();

  const Engine& engine_;
  TokenReply reply_;
  LogprobForm form_;
  LogprobWriter writer_;
  CompletionLogprobs completion_;
  json::array content_;
  json::array token_ids_;
  std::vector<std::int32_t> prompt_ids_;
  std::vector<TokenLogprobs> prompt_logprobs_;
  std::string echo_;
  bool has_news_ = false;
};

}  // namespace mlxs
