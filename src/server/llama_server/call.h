// The body of llama-server's /completion, translated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/door/answer_one.h"
#include "server/openai/api_model.h"

namespace mlxs {

struct LlamaCall {
  DoorCall door;
  // A prompt of texts and ids, which is tokenized piece by piece; empty: the request has its
  // prompt.
  std::vector<std::variant<std::string, std::int32_t>> pieces;
  bool returns_tokens = false;
  bool tells_probabilities = false;  // n_probs
};

// ERRORS: Error with the path of the field; nothing else, whatever `body` holds.
[[nodiscard]] LlamaCall parse_llama_completion(std::string_view body, const ApiModel& model);

}  // namespace mlxs
