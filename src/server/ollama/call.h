// The bodies of Ollama's API, translated.
#pragma once

#include <string>
#include <string_view>

#include "server/door/answer_one.h"
#include "server/openai/api_model.h"

namespace mlxs {

struct OllamaCall {
  std::string model;  // as the client named it
  DoorCall door;
  bool is_empty = false;  // asks for nothing but the model's presence
};

// Ollama's clients write a tag behind a model's name; ":latest" is what every model here has.
// RETURNS: the name without it. ERRORS: model_not_found.
[[nodiscard]] std::string_view check_ollama_model(const ApiModel& model, std::string_view name);

// ERRORS: Error with the path of the field; nothing else, whatever `body` holds.
[[nodiscard]] OllamaCall parse_ollama_chat(std::string_view body, const ApiModel& model);
[[nodiscard]] OllamaCall parse_ollama_generate(std::string_view body, const ApiModel& model);

}  // namespace mlxs
