// Text to token ids, and what each id stands for. Decoding token by token is detokenizer.h's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/gguf_vocabulary.h"
#include "text/utf8_assembler.h"

struct MlxsTokenizer;

namespace mlxs {

// Whether the ids that a model expects around a text (its beginning token, for one) are added.
enum class AddSpecialTokens { no, yes };

// Whether special tokens written in a text become their ids, or are text like any other.
enum class SpecialTokensInText { parsed, as_text };

// Whether special tokens are left out of a decoded text.
enum class SpecialTokensInOutput { kept, skipped };

struct EncodeOptions {
  AddSpecialTokens add_special_tokens = AddSpecialTokens::no;
  SpecialTokensInText special_tokens = SpecialTokensInText::parsed;
};

struct DecodeOptions {
  SpecialTokensInOutput special_tokens = SpecialTokensInOutput::skipped;
  // Special tokens that are written where the others are skipped: the marks that an output's parser
  // waits for.
  std::vector<std::int32_t> written_special_ids = {};
};

// What is taken from the front of a decoded text.
enum class LeadingSpace {
  kept,
  one_removed,               // one space, where the text starts with one
  removed_from_first_token,  // all spaces of the first token
};

// How ids become text.
struct DecodeStyle {
  InvalidBytes invalid_bytes = InvalidBytes::replace_parts;
  LeadingSpace leading_space = LeadingSpace::kept;
};

// Thread safety: all members may be called from any thread at once. A moved-from tokenizer may only
// be destroyed or assigned to.
class Tokenizer {
 public:
  // ERRORS: invalid_model for a text that is no sound tokenizer.json; unsupported_model for a kind
  // that is not
  //   implemented (the message says which).
  [[nodiscard]] static Tokenizer from_json(std::string_view tokenizer_json);

  // ERRORS: invalid_model; unsupported_model, which lists the known names, for an unknown `model`
  // or `pre`.
  [[nodiscard]] static Tokenizer from_vocabulary(const GgufVocabulary& vocabulary);

  // REQUIRES: `text` is UTF-8.
  // ERRORS: invalid_request for text that is not UTF-8.
  [[nodiscard]] std::vector<std::int32_t> encode(
      std::string_view text, const EncodeOptions& options = {}
  ) const;

  // RETURNS: the text of `ids`; ids that the vocabulary does not have are passed over. Always valid
  // UTF-8.
  [[nodiscard]] std::string decode(
      std::span<const std::int32_t> ids, const DecodeOptions& options = {}
  ) const;

  // RETURNS: one more than the highest id.
  [[nodiscard]] int vocab_size() const { return vocab_size_; }

  // RETURNS: the id of a token by its text in the vocabulary ("<|im_end|>").
  [[nodiscard]] std::optional<std::int32_t> token_to_id(std::string_view token) const;

  // RETURNS: the bytes that `id` stands for, which need not be whole characters; empty for an
  // unknown id. Valid for the
  //   tokenizer's life.
  [[nodiscard]] std::string_view id_to_bytes(std::int32_t id) const;

  [[nodiscard]] bool is_known(std::int32_t id) const;
  [[nodiscard]] bool is_special(std::int32_t id) const;
  [[nodiscard]] const DecodeStyle& decode_style() const { return decode_style_; }

  // For the rest of this room.
  [[nodiscard]] const MlxsTokenizer* handle() const { return handle_.get(); }

 private:
  struct Free {
    void operator()(MlxsTokenizer* handle) const;
  };

  explicit Tokenizer(MlxsTokenizer* handle);

  std::unique_ptr<MlxsTokenizer, Free> handle_;
  int vocab_size_ = 0;
  DecodeStyle decode_style_;
  std::span<const std::int32_t> prefix_;  // borrowed from the handle
  std::span<const std::int32_t> suffix_;
};

}  // namespace mlxs
