// The text side of a GGUF: vocabulary, special tokens, chat templates and sampling defaults, from
// its metadata.
#pragma once

#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/text_sources.h"

namespace mlxs {

// A file without a tokenizer leaves `vocabulary` empty. Whether the kind of vocabulary is supported
// is for text/ to say. ERRORS: invalid_model naming the key, for wrong types, ids beyond the
// vocabulary or arrays of unequal length.
[[nodiscard]] TextSources read_gguf_text(const GgufMetadata& metadata);

}  // namespace mlxs
