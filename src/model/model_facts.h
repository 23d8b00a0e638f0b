// What can be said of a model from its headers and configuration, without reading its weights.
#pragma once

#include <cstdint>
#include <string>

#include "model/checkpoint/checkpoint.h"
#include "model/model_spec.h"

namespace mlxs {

struct ModelFacts {
  std::string family;
  std::string format;  // "safetensors" or "gguf"
  // of most of the weights: "float32", "4-bit affine, groups of 32", "Q4_1"
  std::string quantization;
  int num_layers = 0;
  int hidden_size = 0;
  int vocab_size = 0;
  int context_length = 0;
  std::int64_t num_parameters = 0;
  std::int64_t weight_bytes = 0;  // in the files
  // numbers that keys and values of one token are, over all layers
  std::int64_t kv_values_per_token = 0;
  bool has_chat_template = false;
};

// ERRORS: invalid_model and unsupported_model, as make_model_spec() and
// Checkpoint::quantization_of().
[[nodiscard]] ModelFacts read_model_facts(const Checkpoint& checkpoint);

// RETURNS: how most bytes of the weights are stored. ERRORS: as Checkpoint::quantization_of().
[[nodiscard]] std::string describe_quantization(const Checkpoint& checkpoint);

}  // namespace mlxs
