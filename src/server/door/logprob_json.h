// Log probabilities in the forms of the APIs. A token's text is what its bytes read as; where they
// are no whole characters, `bytes` tells what they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"

namespace mlxs {

enum class TokenNames : std::uint8_t {
  text,
  ids  // "token_id:7", vLLM's return_tokens_as_token_ids
};

// Thread safety: as Engine's. REQUIRES: the engine outlives it.
class LogprobWriter {
 public:
  explicit LogprobWriter(const Engine& engine, TokenNames names = TokenNames::text)
      : engine_(engine), names_(names) {}

  // RETURNS: {token, logprob, bytes, top_logprobs} for each: OpenAI's chat, Responses and Ollama.
  [[nodiscard]] json::array entries(std::span<const TokenLogprobs> logprobs) const;

  // RETURNS: llama-server's completion_probabilities: the same with ids, or probabilities instead
  // of their logarithms.
  enum class Scale : std::uint8_t { logarithm, probability };
  [[nodiscard]] json::array llama_entries(std::span<const TokenLogprobs> logprobs, Scale scale)
      const;

  // RETURNS: vLLM's prompt_logprobs: for each token an object of ids, null for the first.
  [[nodiscard]] json::array prompt_entries(std::span<const TokenLogprobs> logprobs) const;

  // RETURNS: the text of a token as the writer names tokens.
  [[nodiscard]] std::string name_of(std::int32_t id) const;

 private:
  [[nodiscard]] json::object entry(const TokenLogprob& logprob) const;
  [[nodiscard]] json::object llama_entry(const TokenLogprob& logprob, Scale scale) const;
  [[nodiscard]] json::array bytes_of(std::int32_t id) const;

  const Engine& engine_;
  TokenNames names_;
};

// The legacy form of OpenAI's completions: parallel lists, and where each token begins in the text,
// in characters. It goes on from call to call as a stream does.
class CompletionLogprobs {
 public:
  explicit CompletionLogprobs(const LogprobWriter& writer) : writer_(writer) {}

  // Begins with a prompt that is shown: its first token has no log probability.
  void add_prompt(std::span<const std::int32_t> ids, std::span<const TokenLogprobs> logprobs);
  void add(std::span<const TokenLogprobs> logprobs);

  // RETURNS: what was added since the last call.
  [[nodiscard]] json::object take();

 private:
  void add_token(std::int32_t id, json::value logprob, json::value top);
  [[nodiscard]] json::object top_of(const TokenLogprobs& logprobs) const;

  LogprobWriter writer_;
  std::size_t offset_ = 0;
  json::array tokens_, logprobs_, tops_, offsets_;
};

// RETURNS: the log probability as JSON has it: never infinite.
[[nodiscard]] double finite_logprob(float logprob);

}  // namespace mlxs
