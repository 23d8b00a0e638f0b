// Anthropic's conversations, brought into the form that chat templates expect.
#pragma once

#include <string>

#include "base/json.h"
#include "server/openai/field_reader.h"

namespace mlxs {

struct AnthropicChat {
  std::string messages_json;  // for ChatPrompt; the system prompt first
  std::string prefill;        // the text of a last message of the assistant; empty: none
};

// Reads `system` and `messages`. Messages of one role that follow each other become one, as
// Anthropic's API has it.
// ERRORS: Error with the path: invalid_request, invalid_value, unsupported for blocks other than
// text, thinking, and calls and answers of tools.
[[nodiscard]] AnthropicChat read_anthropic_chat(FieldReader& fields);

}  // namespace mlxs
