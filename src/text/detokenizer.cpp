// The rules at the front of a text; the bytes are the tokenizer's and the characters the
// assembler's business.
#include "text/detokenizer.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace mlxs {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, const DecodeOptions& options)
    : tokenizer_(&tokenizer),
      options_(options),
      assembler_(tokenizer.decode_style().invalid_bytes) {}

std::string Detokenizer::append(std::int32_t id) {
  const bool is_skipped =
      options_.special_tokens == SpecialTokensInOutput::skipped && tokenizer_->is_special(id) &&
      std::ranges::find(options_.written_special_ids, id) == options_.written_special_ids.end();
  if (is_skipped || !tokenizer_->is_known(id)) return {};
  const LeadingSpace leading_space = tokenizer_->decode_style().leading_space;
  std::string_view bytes = tokenizer_->id_to_bytes(id);
  const bool is_first_token = std::exchange(is_before_first_token_, false);
  if (is_first_token && leading_space == LeadingSpace::removed_from_first_token) {
    std::string without_spaces(bytes);
    std::erase(without_spaces, ' ');
    return assembler_.append(without_spaces);
  }
  if (is_before_text_ && !bytes.empty()) {
    is_before_text_ = false;
    if (leading_space == LeadingSpace::one_removed && bytes.front() == ' ') bytes.remove_prefix(1);
  }
  return assembler_.append(bytes);
}

std::string Detokenizer::finish() { return assembler_.finish(); }

}  // namespace mlxs
