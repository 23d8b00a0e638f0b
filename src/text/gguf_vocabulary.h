// The vocabulary that a GGUF file carries, as plain data: what model/checkpoint reads and text/
// makes a tokenizer of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlxs {

// All ids are below tokens.size(); scores and token_types are empty or as long as tokens.
struct GgufVocabulary {
  std::string model;                // tokenizer.ggml.model: "gpt2", "llama" ...
  std::string pre;                  // tokenizer.ggml.pre; empty: the file does not say
  std::vector<std::string> tokens;  // by id
  std::vector<float> scores;        // SentencePiece's
  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::int32_t> token_types;
  std::vector<std::string> merges;  // "left right", best first
  std::optional<std::int32_t> bos_id;
  std::optional<std::int32_t> eos_id;
  std::optional<std::int32_t> unk_id;
  std::optional<std::int32_t> pad_id;
  std::optional<bool> add_bos;  // empty: the file does not say
  std::optional<bool> add_eos;
  std::optional<bool> add_space_prefix;
  std::optional<bool> remove_extra_whitespaces;
  std::vector<std::uint8_t> precompiled_charsmap;  // SentencePiece's normalizer; may be empty
};

}  // namespace mlxs
