// The text side of a Hugging Face folder: tokenizer.json, tokenizer_config.json, chat templates,
// generation_config.json.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>

#include "model/checkpoint/text_sources.h"

namespace mlxs {

// Files that do not exist leave their fields empty; `config` is the parsed config.json.
// ERRORS: invalid_model naming file and field.
[[nodiscard]] TextSources read_folder_text(
    const std::filesystem::path& folder, const boost::json::object& config
);

}  // namespace mlxs
