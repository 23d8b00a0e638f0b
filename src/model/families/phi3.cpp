// Phi-3, Phi-3.5 mini and Phi-4 (model type "phi3"): fused projections, longrope, in Phi-4-mini on
// a part of each head.
#include <optional>
#include <string>

#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"
#include "model/rope_scaling.h"

namespace mlxs {
namespace {

constexpr int kDefaultOriginalContext = 4096;

void fuse_projections(LayerNames& names) {
  names.qkv = names.q.substr(0, names.q.rfind('.')) + ".qkv_proj";
  names.gate_up = names.gate.substr(0, names.gate.rfind('.')) + ".gate_up_proj";
  for (std::string* name : {&names.q, &names.k, &names.v, &names.gate, &names.up}) name->clear();
}

}  // namespace

ModelSpec make_phi3_spec(const FamilyInput& input) {
  const ConfigReader& config = input.config;
  const DecoderDefaults defaults{.context_length = 4096, .norm_eps = 1e-5};
  refuse_options(
      config, {"attention_bias", "attn_logit_softcapping", "final_logit_softcapping", "mlp_bias"}
  );
  ModelSpec spec = make_decoder(config, defaults);
  spec.family = "phi3";
  const int window = config.integer_or("sliding_window", {0, kTokensRange.max}, 0);
  require_layer_kind(config, spec, window == 0 ? LayerKind::full : LayerKind::sliding);
  for (LayerSpec& layer : spec.layers) {
    layer.attention.window = window;
    fuse_projections(layer.names);
  }
  const std::optional<ConfigReader> parameters = rope_parameters_of(config);
  RopeContext context = rope_context_of(config, spec, defaults);
  context.partial_rotary_factor =
      config.number_or("partial_rotary_factor", kPartialRotaryRange, 1.0);
  context.original_context =
      config.integer_or("original_max_position_embeddings", kTokensRange, kDefaultOriginalContext);
  spec.ropes = {make_rope(parameters, context)};
  return spec;
}

}  // namespace mlxs
