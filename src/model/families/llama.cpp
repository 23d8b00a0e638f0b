// Llama 1 to 3.3, and what Transformers runs through the same code: SmolLM2 and others of model
// type "llama".
#include "kernels/layer_spec.h"
#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {

ModelSpec make_llama_spec(const FamilyInput& input) {
  const ConfigReader& config = input.config;
  const DecoderDefaults defaults{.context_length = 2048};
  refuse_options(config, {"attn_logit_softcapping", "final_logit_softcapping", "sliding_window"});
  ModelSpec spec = make_decoder(config, defaults);
  spec.family = "llama";
  require_layer_kind(config, spec, LayerKind::full);
  const bool attention_bias = config.optional_flag("attention_bias").value_or(false);
  const bool mlp_bias = config.optional_flag("mlp_bias").value_or(false);
  for (LayerSpec& layer : spec.layers) {
    layer.attention.has_qkv_bias = attention_bias;
    layer.attention.has_output_bias = attention_bias;
    layer.mlp.has_bias = mlp_bias;
  }
  set_whole_rope(config, defaults, spec);
  return spec;
}

}  // namespace mlxs
