// The text side of a model, made of what its files hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/engine.h"
#include "model/checkpoint/text_sources.h"
#include "text/chat_template.h"
#include "text/grammar.h"
#include "text/grammar_cache.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/tokenizer.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {

// What constraints are made with.
struct Grammars {
  static constexpr std::size_t kCacheBytes = std::size_t{64} << 20;

  // ERRORS: as GrammarVocabulary.
  Grammars(const Tokenizer& tokenizer, std::span<const std::int32_t> eos_ids)
      : vocabulary(tokenizer, eos_ids) {}

  GrammarVocabulary vocabulary;
  GrammarCache cache{vocabulary, kCacheBytes};
};

struct TextModel {
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template = {};
  std::vector<std::int32_t> eos_ids = {};   // each ends a sequence
  std::unique_ptr<Grammars> grammars = {};  // null: no end token, so that no constraint could end
  // How the model calls tools; null: in a way that is not known here.
  const ToolFormat* tool_format = nullptr;
  // How it marks its reasoning; null: it does not.
  const ReasoningFormat* reasoning_format = nullptr;
  bool template_has_tools = false;  // false: the tools are told to it in a message of the system
};

// `path` names the model in messages.
// ERRORS: invalid_model, unsupported_model, as Tokenizer and ChatTemplate have them.
[[nodiscard]] TextModel make_text_model(const TextSources& sources, const std::string& path);

// Fills in what a chat template's source tells of the model's manners. A model whose template knows
// no tools is told about them in Hermes' format.
void read_formats(std::string_view template_source, TextModel& model);
// RETURNS: the marks of a known family of models, where the vocabulary has all three.
[[nodiscard]] FillInMiddle find_fill_in_middle(const Tokenizer& tokenizer);

// For random weights, whose tokens mean nothing: token i reads "<token i>". REQUIRES: vocab_size >
// 0.
[[nodiscard]] TextModel make_placeholder_text_model(int vocab_size);

}  // namespace mlxs
