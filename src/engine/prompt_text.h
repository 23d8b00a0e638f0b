// What becomes of each form of prompt: text is tokenized, a conversation is rendered first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"

namespace mlxs {

// RETURNS: the prompt's text. ERRORS: unsupported for a model without a template; as
// ChatTemplate::render and add_plain_tools().
[[nodiscard]] std::string render_chat(
    const ChatPrompt& prompt, const ModelInfo& info, const TextModel& text
);

// RETURNS: the ids that are run. ERRORS: as render_chat and Tokenizer::encode;
// context_length_exceeded for a text that no context could hold.
[[nodiscard]] std::vector<std::int32_t> prompt_ids(
    const Prompt& prompt, const ModelInfo& info, const TextModel& text
);

// Takes tokens away from the front as Request::truncate_prompt_tokens wants it.
void truncate_prompt(
    const Request& request, const ModelInfo& info, std::vector<std::int32_t>& token_ids
);

}  // namespace mlxs
