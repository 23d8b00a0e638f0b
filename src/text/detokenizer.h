// Token ids to text, one token at a time, at a cost that does not grow with the text.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"
#include "text/utf8_assembler.h"

namespace mlxs {

// For any ids, all that append() and then finish() gave is exactly Tokenizer::decode() of the ids,
// and each piece of it is valid UTF-8: half a character is held back until the rest comes or cannot
// come. Thread safety: none.
class Detokenizer {
 public:
  // REQUIRES: `tokenizer` outlives this and stays where it is.
  explicit Detokenizer(const Tokenizer& tokenizer, const DecodeOptions& options = {});

  // RETURNS: the text that `id` completes; may be empty.
  [[nodiscard]] std::string append(std::int32_t id);

  // RETURNS: what was held back. Nothing may be appended afterwards.
  [[nodiscard]] std::string finish();

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  Utf8Assembler assembler_;
  bool is_before_first_token_ = true;
  bool is_before_text_ = true;
};

}  // namespace mlxs
