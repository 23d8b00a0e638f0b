// The text side of a model, made of what its files hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mlx_serving/engine.h"
#include "model/checkpoint/text_sources.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace mlxs {

struct TextModel {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template = {};
  std::vector<std::int32_t> eos_ids = {};  // each ends a sequence
};

// `path` names the model in messages.
// ERRORS: invalid_model, unsupported_model, as Tokenizer and ChatTemplate have them.
[[nodiscard]] TextModel make_text_model(const TextSources& sources, const std::string& path);

// RETURNS: the marks of a known family of models, where the vocabulary has all three.
[[nodiscard]] FillInMiddle find_fill_in_middle(const Tokenizer& tokenizer);

// For random weights, whose tokens mean nothing: token i reads "<token i>". REQUIRES: vocab_size >
// 0.
[[nodiscard]] TextModel make_placeholder_text_model(int vocab_size);

}  // namespace mlxs
