// Reading tests/golden/text. Tests only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/gguf_vocabulary.h"

namespace mlxs::testing {

// RETURNS: the bytes of tests/golden/text/`name`.
[[nodiscard]] std::string read_golden(const std::string& name);
[[nodiscard]] json::value read_golden_json(const std::string& name);

// RETURNS: the strings that tokenizers are compared on.
[[nodiscard]] std::vector<std::string> golden_strings();

// RETURNS: the lists of an .ids file.
[[nodiscard]] std::vector<std::vector<std::int32_t>> read_golden_ids(const std::string& name);

// RETURNS: the default model's vocabulary, from its compact form.
[[nodiscard]] GgufVocabulary read_smollm2_vocabulary();

[[nodiscard]] std::vector<std::int32_t> to_ids(const json::value& list);
[[nodiscard]] std::string to_text(const json::value& text);

}  // namespace mlxs::testing
