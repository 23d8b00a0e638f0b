// What each family reads out of configurations as published; tensors and frequencies have tests of
// their own.
#include "model/families/families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "kernels/layer_spec.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

ModelSpec spec_of(std::string_view text, const HasTensor& has_tensor = {}) {
  const json::value config = parse_json(text);
  return make_model_spec(config.as_object(), "config.json", has_tensor);
}

std::vector<int> windows_of(const ModelSpec& spec) {
  std::vector<int> windows;
  for (const LayerSpec& layer : spec.layers) windows.push_back(layer.attention.window);
  return windows;
}

constexpr std::string_view kGemma4b = R"({
  "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106],
  "text_config": {
    "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024
  },
  "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"}
})";

TEST(Families, LlamaTakesItsDefaults) {
  const ModelSpec spec =
      spec_of(R"({"model_type": "llama", "vocab_size": 32000, "hidden_size": 4096,
      "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "torch_dtype": "float16",
      "pretraining_tp": 1, "rope_scaling": null, "head_dim": null, "num_key_value_heads": null})");
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(spec.context_length, 2048);
  EXPECT_FLOAT_EQ(spec.norm_eps, 1e-6F);
  EXPECT_FALSE(spec.tied_embeddings);
  EXPECT_EQ(spec.output_name, "lm_head");
  EXPECT_FALSE(spec.norm_weight_plus_one);
  EXPECT_FLOAT_EQ(spec.embedding_scale, 1.0F);
  ASSERT_EQ(spec.layers.size(), 32U);
  const AttentionSpec& attention = spec.layers[31].attention;
  EXPECT_EQ(attention.num_kv_heads, 32);
  EXPECT_EQ(attention.head_dim, 128);
  EXPECT_FLOAT_EQ(attention.scale, 1.0F / std::sqrt(128.0F));
  EXPECT_EQ(attention.window, 0);
  EXPECT_FALSE(attention.has_qkv_bias || attention.has_output_bias || attention.has_qk_norm);
  EXPECT_EQ(spec.layers[31].names.pre_mlp_norm, "model.layers.31.post_attention_layernorm");
  EXPECT_TRUE(spec.layers[31].names.post_mlp_norm.empty());
}

TEST(Families, LlamaBiasesAreSeparateOptions) {
  constexpr std::string_view kSizes = R"("model_type": "llama", "vocab_size": 8, "hidden_size": 8,
      "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": true)";
  const LayerSpec attention =
      spec_of("{" + std::string(kSizes) + R"(, "attention_bias": true})").layers[0];
  EXPECT_TRUE(attention.attention.has_qkv_bias && attention.attention.has_output_bias);
  EXPECT_FALSE(attention.mlp.has_bias);
  const ModelSpec mlp = spec_of("{" + std::string(kSizes) + R"(, "mlp_bias": true})");
  EXPECT_FALSE(mlp.layers[0].attention.has_qkv_bias);
  EXPECT_TRUE(mlp.layers[0].mlp.has_bias);
  EXPECT_TRUE(mlp.tied_embeddings);
  EXPECT_TRUE(mlp.output_name.empty());
}

constexpr std::string_view kMistral =
    R"("model_type": "mistral", "vocab_size": 131072, "hidden_size": 5120,
    "intermediate_size": 14336, "num_hidden_layers": 2, "num_attention_heads": 32, "head_dim": 128)";

TEST(Families, MistralsWindowIsOnWhereAbsentAndOffWhereNull) {
  const std::string sizes = "{" + std::string(kMistral);
  EXPECT_EQ(windows_of(spec_of(sizes + "}")), (std::vector<int>{4096, 4096}));
  EXPECT_EQ(windows_of(spec_of(sizes + R"(, "sliding_window": null})")), (std::vector<int>{0, 0}));
  const ModelSpec spec = spec_of(
      sizes +
      R"(, "sliding_window": 512, "layer_types": ["sliding_attention", "sliding_attention"]})"
  );
  EXPECT_EQ(windows_of(spec), (std::vector<int>{512, 512}));
  EXPECT_EQ(spec.layers[0].attention.num_kv_heads, 8);
  EXPECT_EQ(spec.context_length, 131072);
}

constexpr std::string_view kQwen2 =
    R"("model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896,
    "intermediate_size": 4864, "num_hidden_layers": 3, "num_attention_heads": 14, "num_key_value_heads": 2,
    "max_window_layers": 1, "sliding_window": 100)";

TEST(Families, QwenWindowsNeedTheirSwitch) {
  const std::string sizes = "{" + std::string(kQwen2);
  EXPECT_EQ(windows_of(spec_of(sizes + "}")), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(
      windows_of(spec_of(sizes + R"(, "use_sliding_window": true})")),
      (std::vector<int>{0, 100, 100})
  );
  const ModelSpec by_type = spec_of(
      sizes +
      R"(, "use_sliding_window": true, "layer_types": ["sliding_attention", "full_attention", "full_attention"]})"
  );
  EXPECT_EQ(windows_of(by_type), (std::vector<int>{100, 0, 0}));
  EXPECT_TRUE(by_type.layers[0].attention.has_qkv_bias);
  EXPECT_FALSE(by_type.layers[0].attention.has_output_bias);
}

TEST(Families, QwenWithYarnReachesItsFactor) {
  const ModelSpec spec = spec_of(
      "{" + std::string(kQwen2) + R"(, "max_position_embeddings": 32768, "rope_theta": 1000000.0,
      "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}})"
  );
  EXPECT_EQ(spec.context_length, 131072);
}

TEST(Families, Qwen3HasHeadsOf128AndNorms) {
  const ModelSpec spec =
      spec_of(R"({"model_type": "qwen3", "vocab_size": 151936, "hidden_size": 1024,
      "intermediate_size": 3072, "num_hidden_layers": 1, "num_attention_heads": 16, "num_key_value_heads": 8})"
      );
  EXPECT_EQ(spec.layers[0].attention.head_dim, 128);
  EXPECT_TRUE(spec.layers[0].attention.has_qk_norm);
  EXPECT_EQ(spec.layers[0].names.q_norm, "model.layers.0.self_attn.q_norm");
  EXPECT_EQ(spec.layers[0].names.k_norm, "model.layers.0.self_attn.k_norm");
}

TEST(Families, Phi3FusesItsProjections) {
  const ModelSpec spec = spec_of(R"({"model_type": "phi3", "vocab_size": 32064, "hidden_size": 3072,
      "intermediate_size": 8192, "num_hidden_layers": 1, "num_attention_heads": 32, "sliding_window": 2047,
      "attention_bias": false, "original_max_position_embeddings": 4096, "rope_scaling": null})");
  const LayerNames& names = spec.layers[0].names;
  EXPECT_EQ(names.qkv, "model.layers.0.self_attn.qkv_proj");
  EXPECT_EQ(names.gate_up, "model.layers.0.mlp.gate_up_proj");
  EXPECT_TRUE(
      names.q.empty() && names.k.empty() && names.v.empty() && names.gate.empty() &&
      names.up.empty()
  );
  EXPECT_EQ(spec.layers[0].attention.window, 2047);
  EXPECT_FLOAT_EQ(spec.norm_eps, 1e-5F);
  EXPECT_EQ(spec.ropes[0].num_dims, 96);
  EXPECT_EQ(spec.ropes[0].original_context, 0);
}

TEST(Families, GemmaReadsItsNestedTextConfiguration) {
  const ModelSpec spec = spec_of(kGemma4b);
  EXPECT_EQ(spec.family, "gemma3");
  EXPECT_EQ(spec.vocab_size, 262208);
  EXPECT_EQ(spec.hidden_size, 2560);
  EXPECT_TRUE(spec.tied_embeddings);
  EXPECT_TRUE(spec.norm_weight_plus_one);
  EXPECT_FLOAT_EQ(spec.embedding_scale, std::sqrt(2560.0F));
  EXPECT_EQ(spec.context_length, 131072);
  ASSERT_EQ(spec.layers.size(), 34U);
  const LayerSpec& local = spec.layers[4];
  const LayerSpec& global = spec.layers[5];
  EXPECT_EQ(local.attention.window, 1024);
  EXPECT_EQ(global.attention.window, 0);
  EXPECT_NE(local.attention.rope, global.attention.rope);
  EXPECT_FLOAT_EQ(local.attention.scale, 1.0F / 16.0F);
  EXPECT_EQ(local.attention.head_dim, 256);
  EXPECT_EQ(local.mlp.activation, Activation::gelu_tanh);
  EXPECT_EQ(local.names.pre_mlp_norm, "language_model.model.layers.4.pre_feedforward_layernorm");
  EXPECT_EQ(local.names.post_mlp_norm, "language_model.model.layers.4.post_feedforward_layernorm");
  EXPECT_EQ(
      local.names.post_attention_norm, "language_model.model.layers.4.post_attention_layernorm"
  );
}

TEST(Families, GemmaFindsItsNamesInTheCheckpoint) {
  for (const std::string prefix : {"model.", "language_model.model.", "model.language_model."}) {
    const ModelSpec spec = spec_of(kGemma4b, [&](std::string_view name) {
      return name == prefix + "embed_tokens.weight";
    });
    EXPECT_EQ(spec.embedding_name, prefix + "embed_tokens");
    EXPECT_EQ(spec.layers[0].names.q, prefix + "layers.0.self_attn.q_proj");
  }
}

TEST(Families, GemmaOfAGgufHasFoldedNorms) {
  const ModelSpec spec =
      spec_of(R"({"model_type": "gemma3_text", "num_hidden_layers": 7, "sliding_window": 512,
      "mlxs_norm_weights_folded": true, "_sliding_window_pattern": 3, "tie_word_embeddings": false,
      "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 168})"
      );
  EXPECT_FALSE(spec.norm_weight_plus_one);
  EXPECT_EQ(windows_of(spec), (std::vector<int>{512, 512, 0, 512, 512, 0, 512}));
  EXPECT_EQ(spec.output_name, "lm_head");
  EXPECT_FLOAT_EQ(spec.layers[0].attention.soft_cap, 50.0F);
  EXPECT_FLOAT_EQ(spec.logit_soft_cap, 30.0F);
  EXPECT_FLOAT_EQ(spec.layers[0].attention.scale, 1.0F / std::sqrt(168.0F));
}

TEST(Families, TypesAreSortedAndUnique) {
  const std::vector<std::string_view> types = supported_model_types();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_EQ(std::adjacent_find(types.begin(), types.end()), types.end());
  EXPECT_EQ(types.size(), 7U);
}

}  // namespace
}  // namespace mlxs
