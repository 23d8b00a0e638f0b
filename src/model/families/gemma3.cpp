// Gemma 3, its text part: local and global layers with a RoPE each, norms before and after both
// halves of a layer, norm weights stored less 1. Of a multimodal checkpoint only the language model
// is described.
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/layer_spec.h"
#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"
#include "model/rope_scaling.h"

namespace mlxs {
namespace {

constexpr double kGlobalTheta = 1'000'000.0;
constexpr double kLocalTheta = 10'000.0;
constexpr int kLocalRope = 0;
constexpr int kGlobalRope = 1;
constexpr NumberRange kCapRange{1e-3, 1e6};

// Published configurations leave out what equals these.
constexpr DecoderDefaults kDefaults{
    .vocab_size = 262208,
    .hidden_size = 2304,
    .intermediate_size = 9216,
    .num_layers = 26,
    .num_heads = 8,
    .num_kv_heads = 4,
    .head_dim = 256,
    .context_length = 131072,
    .rope_theta = kGlobalTheta,
    .activation = Activation::gelu_tanh,
};

// The language model's names in text-only checkpoints, in multimodal ones as first published and as
// mlx-lm writes them, and in multimodal ones since Transformers 5.
NamePrefix find_prefix(const FamilyInput& input, bool is_multimodal) {
  const std::array<NamePrefix, 3> layouts{
      NamePrefix{"model.", "lm_head"},
      NamePrefix{"language_model.model.", "language_model.lm_head"},
      NamePrefix{"model.language_model.", "lm_head"},
  };
  if (input.has_tensor) {
    for (const NamePrefix& layout : layouts) {
      if (input.has_tensor(layout.decoder + "embed_tokens.weight")) return layout;
    }
  }
  return layouts[is_multimodal ? 1 : 0];
}

std::vector<LayerKind> kinds_of(const ConfigReader& config, std::size_t num_layers) {
  constexpr int kDefaultPattern = 6;
  if (auto kinds = layer_kinds_of(config, num_layers)) return *kinds;
  const std::string_view key =
      config.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  const auto pattern =
      static_cast<std::size_t>(config.integer_or(key, kLayerRange, kDefaultPattern));
  std::vector<LayerKind> kinds(num_layers, LayerKind::sliding);
  for (std::size_t i = pattern - 1; i < num_layers; i += pattern) kinds[i] = LayerKind::full;
  return kinds;
}

// Older configurations have rope_theta and rope_scaling for the global layers and
// rope_local_base_freq for the local ones, newer ones an object by layer type.
void set_ropes(const ConfigReader& config, ModelSpec& spec) {
  const std::optional<ConfigReader> by_type = config.optional_object("rope_parameters");
  std::optional<ConfigReader> local;
  std::optional<ConfigReader> global = config.optional_object("rope_scaling");
  if (by_type) {
    if (by_type->has("rope_type") || by_type->has("rope_theta")) {
      throw config.invalid(
          "rope_parameters", "must hold one object for each of full_attention and sliding_attention"
      );
    }
    local = by_type->optional_object("sliding_attention");
    if (!global) global = by_type->optional_object("full_attention");
  }
  RopeContext context = rope_context_of(config, spec, kDefaults);
  const RopeSpec global_rope = make_rope(global, context);
  spec.context_length = scaled_context_length(global, context);
  context.theta = config.number_or("rope_local_base_freq", kThetaRange, kLocalTheta);
  spec.ropes = {make_rope(local, context), global_rope};
}

void name_norms(LayerNames& names) {
  const std::string base =
      names.pre_attention_norm.substr(0, names.pre_attention_norm.rfind('.') + 1);
  names.q_norm = base + "self_attn.q_norm";
  names.k_norm = base + "self_attn.k_norm";
  names.post_attention_norm = base + "post_attention_layernorm";
  names.pre_mlp_norm = base + "pre_feedforward_layernorm";
  names.post_mlp_norm = base + "post_feedforward_layernorm";
}

void set_layers(const ConfigReader& config, ModelSpec& spec) {
  constexpr int kDefaultWindow = 4096;
  constexpr double kDefaultQueryScalar = 256.0;
  const std::vector<LayerKind> kinds = kinds_of(config, spec.layers.size());
  const int window = config.integer_or("sliding_window", kTokensRange, kDefaultWindow);
  const double scalar = config.number_or("query_pre_attn_scalar", {1e-3, 1e6}, kDefaultQueryScalar);
  const double soft_cap = config.number_or("attn_logit_softcapping", kCapRange, 0.0);
  const bool has_bias = config.optional_flag("attention_bias").value_or(false);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    AttentionSpec& attention = spec.layers[i].attention;
    const bool is_local = kinds[i] == LayerKind::sliding;
    attention.window = is_local ? window : 0;
    attention.rope = is_local ? kLocalRope : kGlobalRope;
    attention.scale = static_cast<float>(1.0 / std::sqrt(scalar));
    attention.soft_cap = static_cast<float>(soft_cap);
    attention.has_qkv_bias = has_bias;
    attention.has_output_bias = has_bias;
    attention.has_qk_norm = true;
    name_norms(spec.layers[i].names);
  }
}

}  // namespace

ModelSpec make_gemma3_spec(const FamilyInput& input) {
  const std::optional<ConfigReader> nested = input.config.optional_object("text_config");
  const ConfigReader& config = nested ? *nested : input.config;
  const NamePrefix prefix = find_prefix(input, nested.has_value());
  DecoderDefaults defaults = kDefaults;
  defaults.tied_embeddings = input.config.optional_flag("tie_word_embeddings").value_or(true);
  ModelSpec spec = make_decoder(config, defaults, prefix);
  spec.family = "gemma3";
  spec.norm_weight_plus_one = !config.optional_flag("mlxs_norm_weights_folded").value_or(false);
  spec.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(spec.hidden_size)));
  spec.logit_soft_cap =
      static_cast<float>(config.number_or("final_logit_softcapping", kCapRange, 0.0));
  set_layers(config, spec);
  set_ropes(config, spec);
  return spec;
}

}  // namespace mlxs
