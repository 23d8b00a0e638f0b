// Bytes in, whole UTF-8 characters out: holds back the beginning of a character until it is
// complete or broken. It knows nothing of tokens.
#pragma once

#include <string>
#include <string_view>

namespace mlxs {

// What stands for bytes that are no character.
enum class InvalidBytes {
  replace_parts,  // one U+FFFD for each maximal beginning of a character (Unicode's recommendation)
  replace_bytes,  // one U+FFFD for each byte (SentencePiece)
};

// Thread safety: none. Invariant: between calls at most three bytes are held, and they may still
// become a character.
class Utf8Assembler {
 public:
  explicit Utf8Assembler(InvalidBytes invalid_bytes) : invalid_bytes_(invalid_bytes) {}

  // RETURNS: the characters that are complete now; always valid UTF-8.
  [[nodiscard]] std::string append(std::string_view bytes);

  // RETURNS: what was held back, as U+FFFD.
  [[nodiscard]] std::string finish();

 private:
  InvalidBytes invalid_bytes_;
  std::string held_;
};

}  // namespace mlxs
