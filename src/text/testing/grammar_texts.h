// Texts against grammars, in the default model's vocabulary. Tests only.
#pragma once

#include <string_view>

#include "text/grammar.h"
#include "text/tokenizer.h"

namespace mlxs::testing {

// The default model's; read once.
[[nodiscard]] const Tokenizer& tokenizer();
[[nodiscard]] const GrammarVocabulary& default_vocabulary();

// RETURNS: whether the text's tokens are taken one by one, and the output may end after them.
[[nodiscard]] bool accepts(const Grammar& grammar, std::string_view text);

}  // namespace mlxs::testing
