// The rotary keys of a GGUF as Hugging Face's rope_theta and rope_scaling.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "model/checkpoint/gguf_config.h"
#include "model/checkpoint/gguf_header.h"

namespace mlxs {

struct GgufRopeInputs {
  std::string architecture;
  int num_rotated = 0;     // dimensions of a head that are rotated
  int context_length = 0;  // in tokens
};

// Adds rope_theta and, where the file asks for a scaling, rope_scaling (and
// original_max_position_embeddings) to `config`. ERRORS: as make_gguf_config.
void add_gguf_rope(
    const GgufMetadata& metadata,
    const GgufRopeInputs& inputs,
    const FactorReader& read_factors,
    boost::json::object& config
);

}  // namespace mlxs
