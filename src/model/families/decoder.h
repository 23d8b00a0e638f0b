// What the family files share: sizes, names in Hugging Face's layout, where RoPE fields stand, and
// the refusal of options that would change the mathematics. Internal to this room.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/families/families.h"
#include "model/model_config.h"
#include "model/model_spec.h"
#include "model/rope_scaling.h"

namespace mlxs {

struct FamilyInput {
  const ConfigReader& config;
  const HasTensor& has_tensor;  // may be empty
};

ModelSpec make_gemma3_spec(const FamilyInput& input);
ModelSpec make_llama_spec(const FamilyInput& input);
ModelSpec make_mistral_spec(const FamilyInput& input);
ModelSpec make_phi3_spec(const FamilyInput& input);
ModelSpec make_qwen2_spec(const FamilyInput& input);
ModelSpec make_qwen3_spec(const FamilyInput& input);

// What Transformers assumes for absent fields. 0: the field is required; for kv heads: as many as
// heads; for head_dim: hidden_size / heads.
struct DecoderDefaults {
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int context_length = 0;
  double norm_eps = 1e-6;
  double rope_theta = 10000.0;
  Activation activation = Activation::silu;
  bool tied_embeddings = false;
};

// Names before "layers.0" and before "weight": "model." and "lm_head".
struct NamePrefix {
  std::string decoder = "model.";
  std::string output = "lm_head";
};

// Reads sizes and activation, and refuses options of other architectures.
// RETURNS: a spec of pre-norm layers without biases, windows or caps, all alike, with Llama's
// names; ropes is empty.
[[nodiscard]] ModelSpec make_decoder(
    const ConfigReader& config, const DecoderDefaults& defaults, const NamePrefix& prefix = {}
);

// RETURNS: rope_scaling where it is there (it goes first, as in Transformers), else
// rope_parameters, else nothing.
[[nodiscard]] std::optional<ConfigReader> rope_parameters_of(const ConfigReader& config);

// RETURNS: the parts of the configuration that scalings need, for heads of `head_dim`.
[[nodiscard]] RopeContext rope_context_of(
    const ConfigReader& config, const ModelSpec& spec, const DecoderDefaults& defaults
);

// Sets the one rope that all layers use, and the context length that it reaches. Refuses a partial
// rotation.
void set_whole_rope(const ConfigReader& config, const DecoderDefaults& defaults, ModelSpec& spec);

// The options of Qwen2 and Qwen3: layer_types, or a window from layer max_window_layers on, if
// use_sliding_window.
void set_qwen_windows(const ConfigReader& config, ModelSpec& spec);

enum class LayerKind { full, sliding };

// RETURNS: layer_types, one for each of `num_layers`; nothing when the field is absent.
// ERRORS: invalid_model for a wrong length; unsupported_model for another kind, by its name.
[[nodiscard]] std::optional<std::vector<LayerKind>> layer_kinds_of(
    const ConfigReader& config, std::size_t num_layers
);

// Refuses layer_types that say anything else than that all layers are of this kind.
void require_layer_kind(const ConfigReader& config, const ModelSpec& spec, LayerKind kind);

// Refuses flags that are true and numbers that are not 0: options that a family does not have.
// ERRORS: unsupported_model naming the option.
void refuse_options(const ConfigReader& config, std::initializer_list<std::string_view> keys);

}  // namespace mlxs
