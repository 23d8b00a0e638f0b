// What a checkpoint holds for the text layer and for sampling defaults. Plain data: text/ makes a
// tokenizer and a chat template of it, the engine takes the end-of-sequence ids and the defaults.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/gguf_vocabulary.h"

namespace mlxs {

// Fields that generation_config.json does not set stay empty.
struct GenerationDefaults {
  std::optional<double> temperature;
  std::optional<int> top_k;
  std::optional<double> top_p;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
};

struct TextSources {
  std::optional<std::string> tokenizer_json;  // the file's text; a folder has this one ...
  std::optional<GgufVocabulary> vocabulary;   // ... and a GGUF this one
  std::string chat_template;                  // empty: the model has none
  // besides the default one: "tool_use" ...
  std::map<std::string, std::string> named_chat_templates;
  // Text of the special tokens by Hugging Face's key: "bos_token", "eos_token", "unk_token",
  // "pad_token".
  std::map<std::string, std::string> special_tokens;
  std::optional<bool> add_bos;  // what tokenizer_config.json or the GGUF says; empty: it does not
  std::optional<bool> add_eos;
  std::vector<std::int32_t> eos_ids;  // sorted, unique; may be empty
  GenerationDefaults generation;
};

}  // namespace mlxs
