// The mask is asked before each token, as an engine does, so that both ways of telling are tested.
#include "text/testing/grammar_texts.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/grammar.h"
#include "text/testing/golden_files.h"
#include "text/tokenizer.h"

namespace mlxs::testing {

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::from_vocabulary(read_smollm2_vocabulary());
  return kTokenizer;
}

const GrammarVocabulary& default_vocabulary() {
  constexpr std::array<std::int32_t, 1> kEosIds = {2};
  static const GrammarVocabulary kVocabulary(tokenizer(), kEosIds);
  return kVocabulary;
}

bool accepts(const Grammar& grammar, std::string_view text) {
  GrammarMatcher matcher = grammar.make_matcher();
  std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
  for (const std::int32_t id : tokenizer().encode(text)) {
    matcher.mask(words);
    if (!matcher.advance(id)) return false;
  }
  return matcher.may_stop();
}

}  // namespace mlxs::testing
