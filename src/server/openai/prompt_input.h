// A field that is a text, token ids, or a list of either: OpenAI's prompt and input.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/request.h"

namespace mlxs {

struct PromptInputRule {
  std::string_view field;
  int vocab_size = 0;
  std::size_t max_prompts = 64;
};

// ERRORS: Error with the path of the element.
[[nodiscard]] std::vector<Prompt> read_prompt_input(
    const json::value& value, const PromptInputRule& rule
);

}  // namespace mlxs
