// A GGUF's metadata as the config.json that Hugging Face would have for the same model. The
// families then read one form; what the metadata asks for and the form cannot say is refused by
// name.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "model/checkpoint/gguf_header.h"

namespace mlxs {

// Reads the f32 values of a small tensor by its GGUF name; nothing when the file does not have it.
using FactorReader = std::function<std::optional<std::vector<float>>(std::string_view)>;

// RETURNS: the configuration; for an architecture that is not known only {"model_type":
// architecture}. ERRORS: invalid_model naming the key; unsupported_model for split files and for
// features without a counterpart.
[[nodiscard]] boost::json::object make_gguf_config(
    const GgufHeader& header, const FactorReader& read_factors
);

// RETURNS: general.architecture. ERRORS: invalid_model when it is missing.
[[nodiscard]] std::string gguf_architecture(const GgufMetadata& metadata);

}  // namespace mlxs
