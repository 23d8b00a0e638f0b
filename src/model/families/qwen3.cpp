// Qwen3, dense: norms on the heads of q and k, biases only where attention_bias asks for them.
#include <string>

#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {

ModelSpec make_qwen3_spec(const FamilyInput& input) {
  const ConfigReader& config = input.config;
  const DecoderDefaults defaults{.head_dim = 128, .context_length = 32768};
  refuse_options(config, {"attn_logit_softcapping", "final_logit_softcapping", "mlp_bias"});
  ModelSpec spec = make_decoder(config, defaults);
  spec.family = "qwen3";
  const bool attention_bias = config.optional_flag("attention_bias").value_or(false);
  for (LayerSpec& layer : spec.layers) {
    layer.attention.has_qkv_bias = attention_bias;
    layer.attention.has_output_bias = attention_bias;
    layer.attention.has_qk_norm = true;
    const std::string attention = layer.names.q.substr(0, layer.names.q.rfind('.') + 1);
    layer.names.q_norm = attention + "q_norm";
    layer.names.k_norm = attention + "k_norm";
  }
  set_qwen_windows(config, spec);
  set_whole_rope(config, defaults, spec);
  return spec;
}

}  // namespace mlxs
