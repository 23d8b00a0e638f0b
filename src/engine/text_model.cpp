// From a checkpoint's text sources, or from nothing for models with random weights.
#include "engine/text_model.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/text_sources.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

Tokenizer make_tokenizer(const TextSources& sources, const std::string& path) {
  if (sources.tokenizer_json) return Tokenizer::from_json(*sources.tokenizer_json);
  if (sources.vocabulary) return Tokenizer::from_vocabulary(*sources.vocabulary);
  throw Error(
      ErrorCode::invalid_model,
      fmt::format("{}: there is no tokenizer.json; add the model's own", path)
  );
}

std::vector<std::int32_t> end_tokens(const TextSources& sources, const Tokenizer& tokenizer) {
  if (!sources.eos_ids.empty()) return sources.eos_ids;
  const auto name = sources.special_tokens.find("eos_token");
  if (name == sources.special_tokens.end()) return {};
  const auto id = tokenizer.token_to_id(name->second);
  return id ? std::vector<std::int32_t>{*id} : std::vector<std::int32_t>{};
}

}  // namespace

TextModel make_text_model(const TextSources& sources, const std::string& path) {
  TextModel model{.tokenizer = make_tokenizer(sources, path)};
  if (!sources.chat_template.empty()) {
    model.chat_template.emplace(sources.chat_template, sources.special_tokens);
    read_formats(sources.chat_template, model);
  }
  model.eos_ids = end_tokens(sources, model.tokenizer);
  if (model.eos_ids.empty()) {
    spdlog::warn(
        "{} names no end-of-text token; only max_tokens and stop strings end its output", path
    );
  }
  if (!model.eos_ids.empty())
    model.grammars = std::make_unique<Grammars>(model.tokenizer, model.eos_ids);
  return model;
}

FillInMiddle find_fill_in_middle(const Tokenizer& tokenizer) {
  const FillInMiddle known[] = {
      {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},  // Qwen, CodeGemma
      {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},        // StarCoder
      {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},        // SantaCoder
      {"[PREFIX]", "[SUFFIX]", "[MIDDLE]"},                    // Codestral
  };
  for (const FillInMiddle& marks : known) {
    const bool has_all = tokenizer.token_to_id(marks.prefix) &&
                         tokenizer.token_to_id(marks.suffix) && tokenizer.token_to_id(marks.middle);
    if (has_all) return marks;
  }
  return {};
}

TextModel make_placeholder_text_model(int vocab_size) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  for (int id = 0; id < vocab_size; ++id) {
    vocabulary.tokens.push_back(fmt::format("<token {}>", id));
    vocabulary.scores.push_back(0.0F);
    vocabulary.token_types.push_back(id == 0 ? 2 : 1);
  }
  vocabulary.unk_id = 0;
  return {.tokenizer = Tokenizer::from_vocabulary(vocabulary)};
}

}  // namespace mlxs
