// The entry of this room: a configuration in Hugging Face's words becomes a ModelSpec. The table of
// model types is in families.cpp, each family's reading of its configuration in a file of its own.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/model_spec.h"

namespace mlxs {

// Whether the checkpoint has a tensor of this name. Families whose checkpoints exist with several
// sets of names ask it.
using HasTensor = std::function<bool(std::string_view name)>;

// `config`: config.json, or its equivalent made of a GGUF's metadata (see
// model/checkpoint/checkpoint.h for its two own
//   keys). `where`: the file, for messages. `has_tensor`: empty takes the names of the family's
//   published checkpoints.
// RETURNS: a description whose numbers are within the ranges of model_config.h: heads are a
// multiple of kv heads, every
//   layer's rope is -1 or an index into ropes.
// ERRORS: invalid_model naming file and field; unsupported_model for a model type that is not
// there, with the list of
//   those that are, and for an option that no family implements, by its name.
// THREADS: any.
[[nodiscard]] ModelSpec make_model_spec(
    const json::object& config,
    std::string_view where = "config.json",
    const HasTensor& has_tensor = {}
);

// RETURNS: the model types that make_model_spec takes, sorted.
[[nodiscard]] std::vector<std::string_view> supported_model_types();

}  // namespace mlxs
