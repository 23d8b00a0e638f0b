// Qwen2 and Qwen2.5: Llama's layer with biases on q, k and v, and a window that is usually switched
// off.
#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {

ModelSpec make_qwen2_spec(const FamilyInput& input) {
  const ConfigReader& config = input.config;
  const DecoderDefaults defaults{.context_length = 32768};
  refuse_options(config, {"attn_logit_softcapping", "final_logit_softcapping", "mlp_bias"});
  ModelSpec spec = make_decoder(config, defaults);
  spec.family = "qwen2";
  for (LayerSpec& layer : spec.layers) layer.attention.has_qkv_bias = true;
  set_qwen_windows(config, spec);
  set_whole_rope(config, defaults, spec);
  return spec;
}

}  // namespace mlxs
