// The bodies of Anthropic's API, translated.
#pragma once

#include <string>
#include <string_view>

#include "server/door/answer_one.h"
#include "server/openai/api_model.h"

namespace mlxs {

struct AnthropicCall {
  std::string model;  // as the client named it
  DoorCall door;
};

// ERRORS: Error with the path of the field; nothing else, whatever `body` holds.
[[nodiscard]] AnthropicCall parse_messages_call(std::string_view body, const ApiModel& model);
[[nodiscard]] AnthropicCall parse_count_call(std::string_view body, const ApiModel& model);

}  // namespace mlxs
