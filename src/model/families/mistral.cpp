// Mistral: Llama's layer with one sliding window for all of them, which releases since 0.2 switch
// off with null.
#include "model/families/decoder.h"
#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

// An absent field means Mistral 0.1's window, null means none.
int window_of(const ConfigReader& config) {
  constexpr int kDefaultWindow = 4096;
  if (config.is_null("sliding_window")) return 0;
  return config.integer_or("sliding_window", kTokensRange, kDefaultWindow);
}

}  // namespace

ModelSpec make_mistral_spec(const FamilyInput& input) {
  const ConfigReader& config = input.config;
  const DecoderDefaults defaults{.num_kv_heads = 8, .context_length = 131072};
  refuse_options(
      config, {"attention_bias", "attn_logit_softcapping", "final_logit_softcapping", "mlp_bias"}
  );
  ModelSpec spec = make_decoder(config, defaults);
  spec.family = "mistral";
  const int window = window_of(config);
  require_layer_kind(config, spec, window == 0 ? LayerKind::full : LayerKind::sliding);
  for (LayerSpec& layer : spec.layers) layer.attention.window = window;
  set_whole_rope(config, defaults, spec);
  return spec;
}

}  // namespace mlxs
