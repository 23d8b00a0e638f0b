// The shared parts of the family files; see decoder.h.
#include "model/families/decoder.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kernels/layer_spec.h"
#include "model/model_config.h"
#include "model/model_spec.h"
#include "model/rope_scaling.h"

namespace mlxs {
namespace {

// Options of architectures that none of these families has. Where such a field is set to something
// that acts, the checkpoint would load and answer wrongly.
constexpr std::array<std::string_view, 16> kForeignOptions = {
    "alibi",
    "clip_qkv",
    "dual_chunk_attention_config",
    "kv_lora_rank",
    "lm_head_bias",
    "moe_intermediate_size",
    "n_routed_experts",
    "no_rope_layers",
    "num_experts",
    "num_experts_per_tok",
    "num_local_experts",
    "parallel_attn",
    "q_lora_rank",
    "qk_layernorm",
    "use_bidirectional_attention",
    "use_qk_norm",
};

// Factors of architectures that none of these families has; 1 does nothing.
constexpr std::array<std::string_view, 5> kForeignFactors = {
    "attention_multiplier",
    "embedding_multiplier",
    "logit_scale",
    "logits_scaling",
    "residual_multiplier"
};
constexpr NumberRange kAnyNumber{-1e300, 1e300};

void refuse_foreign_options(const ConfigReader& config) {
  for (const std::string_view key : kForeignOptions) refuse_options(config, {key});
  for (const std::string_view key : kForeignFactors) {
    const double value = config.number_or(key, kAnyNumber, 1.0);
    if (value != 1.0)
      throw config.unsupported(key, fmt::format("is {}; this factor is not implemented", value));
  }
}

Activation activation_of(const ConfigReader& config, Activation fallback) {
  const std::string_view key = config.has("hidden_activation") ? "hidden_activation" : "hidden_act";
  const std::optional<std::string> name = config.optional_string(key);
  if (!name) return fallback;
  if (*name == "silu" || *name == "swish") return Activation::silu;
  if (*name == "gelu_pytorch_tanh" || *name == "gelu_new") return Activation::gelu_tanh;
  throw config.unsupported(
      key, fmt::format("is {}; there are silu and gelu_pytorch_tanh", json_quote(*name))
  );
}

int size_of(const ConfigReader& config, std::string_view key, IntRange range, int fallback) {
  return fallback == 0 ? config.integer(key, range) : config.integer_or(key, range, fallback);
}

int head_dim_of(const ConfigReader& config, int hidden_size, int num_heads, int fallback) {
  if (config.has("head_dim")) return config.integer("head_dim", kHeadDimRange);
  if (fallback != 0) return fallback;
  if (hidden_size % num_heads != 0) {
    throw config.invalid(
        "num_attention_heads",
        fmt::format(
            "must divide hidden_size {} where head_dim is absent, got {}", hidden_size, num_heads
        )
    );
  }
  return hidden_size / num_heads;
}

AttentionSpec attention_of(
    const ConfigReader& config, int hidden_size, const DecoderDefaults& defaults
) {
  AttentionSpec attention;
  attention.num_heads = size_of(config, "num_attention_heads", kHeadRange, defaults.num_heads);
  const int all_heads = defaults.num_kv_heads == 0 ? attention.num_heads : defaults.num_kv_heads;
  attention.num_kv_heads = config.integer_or("num_key_value_heads", kHeadRange, all_heads);
  if (attention.num_heads % attention.num_kv_heads != 0) {
    throw config.invalid(
        "num_key_value_heads",
        fmt::format(
            "must divide num_attention_heads {}, got {}",
            attention.num_heads,
            attention.num_kv_heads
        )
    );
  }
  attention.head_dim = head_dim_of(config, hidden_size, attention.num_heads, defaults.head_dim);
  attention.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(attention.head_dim)));
  return attention;
}

LayerNames layer_names(const std::string& decoder, int layer) {
  const std::string base = fmt::format("{}layers.{}.", decoder, layer);
  LayerNames names;
  names.q = base + "self_attn.q_proj";
  names.k = base + "self_attn.k_proj";
  names.v = base + "self_attn.v_proj";
  names.o = base + "self_attn.o_proj";
  names.gate = base + "mlp.gate_proj";
  names.up = base + "mlp.up_proj";
  names.down = base + "mlp.down_proj";
  names.pre_attention_norm = base + "input_layernorm";
  names.pre_mlp_norm = base + "post_attention_layernorm";
  return names;
}

}  // namespace

ModelSpec make_decoder(
    const ConfigReader& config, const DecoderDefaults& defaults, const NamePrefix& prefix
) {
  refuse_foreign_options(config);
  ModelSpec spec;
  spec.vocab_size = size_of(config, "vocab_size", kVocabRange, defaults.vocab_size);
  spec.hidden_size = size_of(config, "hidden_size", kHiddenRange, defaults.hidden_size);
  spec.context_length =
      config.integer_or("max_position_embeddings", kTokensRange, defaults.context_length);
  spec.norm_eps =
      static_cast<float>(config.number_or("rms_norm_eps", kEpsRange, defaults.norm_eps));
  spec.tied_embeddings =
      config.optional_flag("tie_word_embeddings").value_or(defaults.tied_embeddings);
  spec.embedding_name = prefix.decoder + "embed_tokens";
  spec.final_norm_name = prefix.decoder + "norm";
  if (!spec.tied_embeddings) spec.output_name = prefix.output;

  LayerSpec layer;
  layer.attention = attention_of(config, spec.hidden_size, defaults);
  layer.mlp.intermediate_size =
      size_of(config, "intermediate_size", kIntermediateRange, defaults.intermediate_size);
  layer.mlp.activation = activation_of(config, defaults.activation);
  const int num_layers = size_of(config, "num_hidden_layers", kLayerRange, defaults.num_layers);
  for (int i = 0; i < num_layers; ++i) {
    layer.names = layer_names(prefix.decoder, i);
    spec.layers.push_back(layer);
  }
  return spec;
}

std::optional<ConfigReader> rope_parameters_of(const ConfigReader& config) {
  const std::optional<ConfigReader> scaling = config.optional_object("rope_scaling");
  return scaling ? scaling : config.optional_object("rope_parameters");
}

RopeContext rope_context_of(
    const ConfigReader& config, const ModelSpec& spec, const DecoderDefaults& defaults
) {
  RopeContext context;
  context.where = config.where();
  context.head_dim = spec.layers.front().attention.head_dim;
  context.theta = config.number_or("rope_theta", kThetaRange, defaults.rope_theta);
  context.context_length = spec.context_length;
  return context;
}

void set_whole_rope(const ConfigReader& config, const DecoderDefaults& defaults, ModelSpec& spec) {
  const std::optional<ConfigReader> parameters = rope_parameters_of(config);
  for (const ConfigReader& reader : {config, parameters.value_or(config)}) {
    const double part = reader.number_or("partial_rotary_factor", kPartialRotaryRange, 1.0);
    if (part == 1.0) continue;
    throw reader.unsupported(
        "partial_rotary_factor",
        fmt::format("is {}; models of type {} rotate whole heads", part, spec.family)
    );
  }
  const RopeContext context = rope_context_of(config, spec, defaults);
  spec.ropes = {make_rope(parameters, context)};
  spec.context_length = scaled_context_length(parameters, context);
}

void set_qwen_windows(const ConfigReader& config, ModelSpec& spec) {
  constexpr int kDefaultWindow = 4096;
  constexpr int kDefaultMaxWindowLayers = 28;
  const bool has_window = config.optional_flag("use_sliding_window").value_or(false);
  const int window = config.integer_or("sliding_window", kTokensRange, kDefaultWindow);
  const auto kinds = layer_kinds_of(config, spec.layers.size());
  const int first =
      config.integer_or("max_window_layers", {0, kLayerRange.max}, kDefaultMaxWindowLayers);
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const bool slides =
        kinds ? (*kinds)[i] == LayerKind::sliding : has_window && std::cmp_greater_equal(i, first);
    if (!slides) continue;
    if (!has_window)
      throw config.invalid("layer_types", "has sliding layers, but use_sliding_window is not true");
    spec.layers[i].attention.window = window;
  }
}

std::optional<std::vector<LayerKind>> layer_kinds_of(
    const ConfigReader& config, std::size_t num_layers
) {
  constexpr std::string_view kKey = "layer_types";
  const auto types = config.optional_strings(kKey);
  if (!types) return std::nullopt;
  if (types->size() != num_layers) {
    throw config.invalid(
        kKey,
        fmt::format("must hold one type for each of {} layers, got {}", num_layers, types->size())
    );
  }
  std::vector<LayerKind> kinds;
  for (const std::string& type : *types) {
    if (type != "full_attention" && type != "sliding_attention") {
      throw config.unsupported(
          kKey,
          fmt::format("holds {}; there are full_attention and sliding_attention", json_quote(type))
      );
    }
    kinds.push_back(type == "full_attention" ? LayerKind::full : LayerKind::sliding);
  }
  return kinds;
}

void require_layer_kind(const ConfigReader& config, const ModelSpec& spec, LayerKind kind) {
  const auto kinds = layer_kinds_of(config, spec.layers.size());
  if (!kinds ||
      std::all_of(kinds->begin(), kinds->end(), [kind](LayerKind given) { return given == kind; }))
    return;
  throw config.unsupported(
      "layer_types",
      fmt::format("contradicts sliding_window; the layers of type {} are all alike", spec.family)
  );
}

void refuse_options(const ConfigReader& config, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (config.acts(key))
      throw config.unsupported(key, "is set; this option is not implemented for this model type");
  }
}

}  // namespace mlxs
