// Metadata as Hugging Face's configuration, names and rows, and the text side of a GGUF.

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/gguf_names.h"
#include "model/checkpoint/tensor_info.h"
#include "model/checkpoint/testing/gguf_writer.h"
#include "model/checkpoint/testing/hostile_files.h"
#include "model/checkpoint/text_sources.h"

namespace mlxs {
namespace {

using testing::as_bytes;
using testing::bools_key;
using testing::f32_key;
using testing::f32_tensor;
using testing::GgufSpec;
using testing::set_key;
using testing::string_key;
using testing::u32_key;

Checkpoint open_spec(const GgufSpec& spec) {
  static std::string bytes;  // the source views it
  bytes = write_gguf(spec).bytes;
  return Checkpoint::open_gguf_source(std::make_unique<MemorySource>("test.gguf", as_bytes(bytes)));
}

// The small model with the architecture's word replaced.
GgufSpec small_model(const std::string& architecture) {
  GgufSpec spec = testing::small_llama(1);
  for (auto& kv : spec.key_values) {
    if (kv.key.starts_with("llama.")) kv.key.replace(0, 5, architecture);
  }
  set_key(spec, string_key("general.architecture", architecture));
  return spec;
}

std::string refusal(const GgufSpec& spec) {
  try {
    (void)open_spec(spec);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GgufConfig, LlamaHasHuggingFaceKeys) {
  const Checkpoint checkpoint = open_spec(testing::small_llama(1));
  const json::object& config = checkpoint.config();
  EXPECT_EQ(config.at("model_type"), "llama");
  EXPECT_EQ(config.at("vocab_size"), 8);
  EXPECT_EQ(config.at("hidden_size"), 64);
  EXPECT_EQ(config.at("num_hidden_layers"), 1);
  EXPECT_EQ(config.at("intermediate_size"), 96);
  EXPECT_EQ(config.at("num_attention_heads"), 2);
  EXPECT_EQ(config.at("num_key_value_heads"), 1);
  EXPECT_EQ(config.at("head_dim"), 32);
  EXPECT_EQ(config.at("max_position_embeddings"), 128);
  EXPECT_EQ(config.at("rope_theta"), 10000.0);
  EXPECT_EQ(config.at("tie_word_embeddings"), false);
  EXPECT_EQ(config.at("attention_bias"), false);
  EXPECT_NEAR(config.at("rms_norm_eps").as_double(), 1e-5, 1e-11);
  EXPECT_FALSE(config.contains("rope_scaling"));
  EXPECT_FALSE(config.contains("partial_rotary_factor"));
}

TEST(GgufConfig, LlamaRowsAreMarkedInterleaved) {
  const Checkpoint checkpoint = open_spec(testing::small_llama(1));
  EXPECT_EQ(checkpoint.at("model.layers.0.self_attn.q_proj.weight").interleaved_heads, 2);
  EXPECT_EQ(checkpoint.at("model.layers.0.self_attn.k_proj.weight").interleaved_heads, 1);
  EXPECT_EQ(checkpoint.at("model.layers.0.self_attn.v_proj.weight").interleaved_heads, 0);
  EXPECT_EQ(
      open_spec(small_model("qwen2"))
          .at("model.layers.0.self_attn.q_proj.weight")
          .interleaved_heads,
      0
  );
}

// The converter reshapes [heads, 2, D/2] to [heads, D/2, 2]; taking the stored rows in this order
// undoes it.
TEST(GgufConfig, StoredRowOrderUndoesTheConverter) {
  TensorInfo tensor;
  tensor.shape = {12, 5};
  EXPECT_TRUE(stored_row_order(tensor).empty());
  tensor.interleaved_heads = 2;
  std::vector<std::int64_t> stored;  // the Hugging Face row at each stored row
  for (std::int64_t head = 0; head < 2; ++head) {
    for (std::int64_t pair = 0; pair < 3; ++pair) {
      for (std::int64_t half = 0; half < 2; ++half) stored.push_back(head * 6 + half * 3 + pair);
    }
  }
  const std::vector<std::int64_t> order = stored_row_order(tensor);
  ASSERT_EQ(order.size(), 12U);
  for (std::size_t row = 0; row < order.size(); ++row) {
    EXPECT_EQ(stored[static_cast<std::size_t>(order[row])], static_cast<std::int64_t>(row));
  }
  tensor.interleaved_heads = 5;
  EXPECT_THROW((void)stored_row_order(tensor), Error);
}

TEST(GgufConfig, RopeFactorsOfLlama3) {
  GgufSpec spec = testing::small_llama(1);
  spec.tensors.push_back(f32_tensor("rope_freqs.weight", {16}));
  const Checkpoint checkpoint = open_spec(spec);
  const json::object& scaling = checkpoint.config().at("rope_scaling").as_object();
  EXPECT_EQ(scaling.at("rope_type"), "llama3_factors");
  ASSERT_EQ(scaling.at("factors").as_array().size(), 16U);
  EXPECT_EQ(scaling.at("factors").as_array()[3], 4.0);
  spec.tensors.back() = f32_tensor("rope_freqs.weight", {15});
  EXPECT_NE(refusal(spec).find("15 factors, 16 are needed"), std::string::npos);
  spec.tensors.back() = f32_tensor("rope_freqs.weight", {16});
  set_key(spec, string_key("llama.rope.scaling.type", "linear"));
  set_key(spec, f32_key("llama.rope.scaling.factor", 4));
  EXPECT_NE(refusal(spec).find("two rope scalings at once"), std::string::npos);
}

TEST(GgufConfig, LinearAndYarnScaling) {
  GgufSpec spec = small_model("qwen2");
  set_key(spec, f32_key("qwen2.rope.scaling.factor", 4));
  set_key(spec, string_key("qwen2.rope.scaling.type", "linear"));
  const json::object linear = open_spec(spec).config().at("rope_scaling").as_object();
  EXPECT_EQ(linear, (json::object{{"rope_type", "linear"}, {"factor", 4.0}}));
  set_key(spec, string_key("qwen2.rope.scaling.type", "yarn"));
  EXPECT_NE(refusal(spec).find("original_context_length"), std::string::npos);
  set_key(spec, u32_key("qwen2.rope.scaling.original_context_length", 32));
  json::object yarn = open_spec(spec).config().at("rope_scaling").as_object();
  EXPECT_EQ(yarn.at("original_max_position_embeddings"), 32);
  EXPECT_FALSE(yarn.contains("attention_factor"));
  set_key(spec, f32_key("qwen2.rope.scaling.attn_factor", 0.5F));
  yarn = open_spec(spec).config().at("rope_scaling").as_object();
  EXPECT_NEAR(yarn.at("attention_factor").as_double(), 0.5 * (0.1 * std::log(4.0) + 1.0), 1e-12);
  set_key(spec, string_key("qwen2.rope.scaling.type", "dynamic"));
  EXPECT_NE(refusal(spec).find("dynamic"), std::string::npos);
}

TEST(GgufConfig, Phi3LongropePartialRotaryAndFusedNames) {
  GgufSpec spec = small_model("phi3");
  set_key(spec, u32_key("phi3.rope.dimension_count", 24));
  set_key(spec, u32_key("phi3.rope.scaling.original_context_length", 64));
  set_key(spec, f32_key("phi3.rope.scaling.attn_factor", 1.25F));
  set_key(spec, u32_key("phi3.attention.sliding_window", 0));
  spec.tensors.push_back(f32_tensor("rope_factors_long.weight", {12}));
  EXPECT_NE(refusal(spec).find("only one of the tensors"), std::string::npos);
  spec.tensors.push_back(f32_tensor("rope_factors_short.weight", {12}));
  spec.tensors.push_back(f32_tensor("blk.0.attn_qkv.weight", {64, 128}));
  const Checkpoint checkpoint = open_spec(spec);
  const json::object& config = checkpoint.config();
  EXPECT_EQ(config.at("partial_rotary_factor"), 0.75);
  EXPECT_EQ(config.at("original_max_position_embeddings"), 64);
  EXPECT_TRUE(config.at("sliding_window").is_null());
  EXPECT_EQ(config.at("rope_scaling").at("rope_type"), "longrope");
  EXPECT_EQ(config.at("rope_scaling").at("attention_factor"), 1.25);
  EXPECT_EQ(config.at("rope_scaling").at("short_factor").as_array().size(), 12U);
  EXPECT_NE(checkpoint.find("model.layers.0.self_attn.qkv_proj.weight"), nullptr);
  EXPECT_NE(checkpoint.find("model.layers.0.mlp.gate_up_proj.weight"), nullptr);
}

TEST(GgufConfig, Gemma3WindowsScalesAndNorms) {
  GgufSpec spec = small_model("gemma3");
  set_key(spec, u32_key("gemma3.block_count", 7));
  set_key(spec, u32_key("gemma3.attention.sliding_window", 16));
  set_key(spec, u32_key("gemma3.attention.key_length", 32));
  spec.tensors.push_back(f32_tensor("blk.0.post_attention_norm.weight", {64}));
  spec.tensors.push_back(f32_tensor("blk.0.post_ffw_norm.weight", {64}));
  const Checkpoint checkpoint = open_spec(spec);
  const json::object& config = checkpoint.config();
  EXPECT_EQ(config.at("model_type"), "gemma3_text");
  EXPECT_EQ(config.at("mlxs_norm_weights_folded"), true);
  EXPECT_EQ(config.at("hidden_activation"), "gelu_pytorch_tanh");
  EXPECT_EQ(config.at("query_pre_attn_scalar"), 32);
  EXPECT_EQ(config.at("rope_local_base_freq"), 10000.0);
  ASSERT_EQ(config.at("layer_types").as_array().size(), 7U);
  EXPECT_EQ(config.at("layer_types").as_array()[4], "sliding_attention");
  EXPECT_EQ(config.at("layer_types").as_array()[5], "full_attention");
  for (const char* name :
       {"pre_feedforward_layernorm", "post_feedforward_layernorm", "post_attention_layernorm"}) {
    EXPECT_NE(checkpoint.find(std::string("model.layers.0.") + name + ".weight"), nullptr) << name;
  }
  set_key(spec, bools_key("gemma3.attention.sliding_window_pattern", {0, 1}));
  EXPECT_NE(refusal(spec).find("2 flags for 7 layers"), std::string::npos);
  set_key(spec, bools_key("gemma3.attention.sliding_window_pattern", {0, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(open_spec(spec).config().at("layer_types").as_array()[0], "full_attention");
}

TEST(GgufConfig, ModelTypesOfRelatives) {
  GgufSpec spec = testing::small_llama(1);
  set_key(spec, u32_key("llama.attention.sliding_window", 32));
  EXPECT_EQ(open_spec(spec).config().at("model_type"), "mistral");
  set_key(spec, u32_key("llama.expert_count", 8));
  EXPECT_EQ(open_spec(spec).config().at("model_type"), "mixtral");
  EXPECT_EQ(open_spec(small_model("falcon")).config(), (json::object{{"model_type", "falcon"}}));
}

TEST(GgufConfig, BadHyperparametersAreRefusedByKey) {
  const std::vector<std::pair<testing::GgufKeyValueSpec, std::string>> cases = {
      {u32_key("llama.block_count", 0), "llama.block_count"},
      {u32_key("llama.block_count", 5000), "5000 layers"},
      {u32_key("llama.attention.head_count", 0), "llama.attention.head_count"},
      {u32_key("llama.attention.head_count", 0xFFFFFFFF), "llama.attention.head_count"},
      {u32_key("llama.attention.head_count", 7), "no multiple"},
      {f32_key("llama.attention.head_count", 2), "type f32"},
      {testing::i32s_key("llama.attention.head_count", {2}), "array of i32"},
      {u32_key("llama.attention.value_length", 16), "different length"},
      {u32_key("llama.rope.dimension_count", 33), "rope.dimension_count"},
      {f32_key("llama.attention.layer_norm_rms_epsilon", -1), "layer_norm_rms_epsilon"},
      {f32_key("llama.rope.freq_base", 0), "rope.freq_base"},
      {f32_key("llama.attention.scale", 0.5F), "llama.attention.scale"},
      {f32_key("llama.rope.scaling.attn_factor", 2), "without yarn or longrope"},
      {testing::bool_key("llama.attention.causal", 0), "causal"},
      {testing::GgufKeyValueSpec{"split.count", 2, testing::raw(std::uint16_t{3}), {}}, "split"},
      {string_key("general.architecture", ""), "general.architecture"},
      {u32_key("general.architecture", 1), "general.architecture"},
  };
  for (const auto& [key_value, part] : cases) {
    GgufSpec spec = testing::small_llama(1);
    set_key(spec, key_value);
    const std::string message = refusal(spec);
    EXPECT_TRUE(message.starts_with("test.gguf: ")) << key_value.key << ": " << message;
    EXPECT_NE(message.find(part), std::string::npos) << key_value.key << ": " << message;
  }
  GgufSpec spec = testing::small_llama(1);
  erase_key(spec, "llama.context_length");
  EXPECT_NE(refusal(spec).find("llama.context_length is missing"), std::string::npos);
}

TEST(GgufNames, OtherNamesStayAsTheyAre) {
  EXPECT_EQ(hugging_face_name("llama", "output.weight"), "lm_head.weight");
  EXPECT_EQ(
      hugging_face_name("qwen3", "blk.12.attn_q_norm.weight"),
      "model.layers.12.self_attn.q_norm.weight"
  );
  EXPECT_EQ(
      hugging_face_name("qwen2", "blk.0.attn_k.bias"), "model.layers.0.self_attn.k_proj.bias"
  );
  for (const char* name :
       {"blk.00.attn_q.weight",
        "blk.x.attn_q.weight",
        "blk.1.weight",
        "blk.",
        "blk.99999.attn_q.weight",
        "rope_freqs.weight",
        "blk.0.attn_q.scale",
        "token_embd",
        ""}) {
    EXPECT_EQ(hugging_face_name("llama", name), name);
  }
  EXPECT_EQ(hugging_face_name("falcon", "output.weight"), "output.weight");
}

TEST(GgufNames, TwoSpellingsOfOneTensorAreRefused) {
  GgufSpec spec = testing::small_llama(1);
  spec.tensors.push_back(f32_tensor("lm_head.weight", {64, 8}));
  EXPECT_NE(refusal(spec).find("\"lm_head.weight\" occurs twice"), std::string::npos);
}

TEST(GgufText, VocabularyTemplatesAndEosIds) {
  GgufSpec spec = testing::small_llama(1);
  set_key(spec, u32_key("tokenizer.ggml.eos_token_id", 1));
  set_key(spec, u32_key("tokenizer.ggml.eot_token_id", 5));
  set_key(spec, u32_key("tokenizer.ggml.padding_token_id", 0xFFFFFFFF));
  set_key(spec, string_key("tokenizer.chat_template.tool_use", "tools"));
  set_key(spec, f32_key("general.sampling.temp", 0.5F));
  const Checkpoint checkpoint = open_spec(spec);
  const TextSources& text = checkpoint.text();
  ASSERT_TRUE(text.vocabulary.has_value());
  EXPECT_EQ(text.vocabulary->model, "gpt2");
  EXPECT_EQ(text.vocabulary->pre, "smollm");
  EXPECT_EQ(text.vocabulary->tokens[7], "abc");
  EXPECT_EQ(text.vocabulary->token_types.size(), 8U);
  EXPECT_EQ(text.vocabulary->merges.size(), 2U);
  EXPECT_EQ(text.vocabulary->bos_id, 1);
  EXPECT_EQ(text.vocabulary->pad_id, std::nullopt);
  EXPECT_EQ(text.special_tokens.at("bos_token"), "<s>");
  EXPECT_FALSE(text.special_tokens.contains("pad_token"));
  // The named end, the named end of turn, and <|im_end|> by its text.
  EXPECT_EQ(text.eos_ids, (std::vector<std::int32_t>{1, 2, 5}));
  EXPECT_EQ(text.add_bos, false);
  EXPECT_EQ(text.chat_template, "{{ messages[0].content }}");
  EXPECT_EQ(text.named_chat_templates.at("tool_use"), "tools");
  EXPECT_EQ(text.generation.temperature, 0.5);
  EXPECT_EQ(text.generation.top_k, std::nullopt);
}

TEST(GgufText, InconsistentVocabulariesAreRefused) {
  const std::vector<std::pair<testing::GgufKeyValueSpec, std::string>> cases = {
      {u32_key("tokenizer.ggml.eos_token_id", 8), "there are 8 tokens"},
      {testing::f32s_key("tokenizer.ggml.scores", {1}), "1 elements for 8 tokens"},
      {testing::i32s_key("tokenizer.ggml.token_type", {1, 1}), "2 elements for 8 tokens"},
      {{"tokenizer.ggml.scores",
        9,
        testing::raw(0U) + testing::raw(std::uint64_t{8}) + "12345678",
        {}},
       "array of u8"},
      {testing::strings_key("tokenizer.ggml.tokens", {}), "not be empty"},
      {testing::strings_key(
           "tokenizer.ggml.tokens", std::vector<std::string>(8, std::string(70'000, 'x'))
       ),
       "70000"},
      {string_key("tokenizer.ggml.tokens", "x"), "array of strings"},
      {f32_key("general.sampling.top_p", 1.5F), "general.sampling.top_p"},
  };
  for (const auto& [key_value, part] : cases) {
    GgufSpec spec = testing::small_llama(1);
    set_key(spec, key_value);
    EXPECT_NE(refusal(spec).find(part), std::string::npos) << refusal(spec);
  }
}

TEST(GgufRead, KQuantsAreRefusedByNameWhenTheyAreRead) {
  GgufSpec spec = testing::small_llama(1);
  spec.tensors.push_back({"blk.0.extra.weight", {256}, 12, std::string(144, '\0'), {}, {}, {}});
  const Checkpoint checkpoint = open_spec(spec);
  std::vector<std::byte> buffer(144);
  try {
    checkpoint.read(checkpoint.at("blk.0.extra.weight"), buffer);
    FAIL() << "Q4_K was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported_model);
    EXPECT_NE(std::string(error.what()).find("Q4_K"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("Q8_0"), std::string::npos);
  }
}

}  // namespace
}  // namespace mlxs
