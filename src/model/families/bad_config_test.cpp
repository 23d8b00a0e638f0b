// Configurations that are hostile, incomplete or of another architecture: each is refused with its
// file and field.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "model/families/families.h"
#include "model/model_spec.h"

namespace mlxs {
namespace {

constexpr ErrorCode kInvalid = ErrorCode::invalid_model;
constexpr ErrorCode kUnsupported = ErrorCode::unsupported_model;

struct BadConfig {
  const char* model_type;
  const char* change;  // members that replace those of the sound configuration
  ErrorCode code;
  const char* message;
};

json::object sound_config(std::string_view model_type) {
  json::object config = parse_json(R"({"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
      "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
      "rms_norm_eps": 1e-5, "head_dim": 8, "tie_word_embeddings": false, "sliding_window": 16,
      "use_sliding_window": true})")
                            .as_object();
  if (model_type == "llama") config.erase("sliding_window");
  config["model_type"] = json::string_view(model_type.data(), model_type.size());
  return config;
}

class BadConfigTest : public testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, IsRefusedByName) {
  json::object config = sound_config(GetParam().model_type);
  const json::value change = parse_json(GetParam().change);
  for (const auto& [key, value] : change.as_object()) config[key] = value;
  try {
    static_cast<void>(make_model_spec(config, "folder/config.json"));
    FAIL() << "taken: " << GetParam().change;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.code(), GetParam().code) << message;
    EXPECT_TRUE(message.starts_with("folder/config.json: ")) << message;
    EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
    EXPECT_LT(message.size(), 300U) << "the file's text is not repeated in full";
  }
}

TEST(BadConfig, TheUnchangedConfigurationsAreSound) {
  for (const std::string_view type : supported_model_types()) {
    EXPECT_NO_THROW(static_cast<void>(make_model_spec(sound_config(type)))) << type;
  }
}

// Whatever a field holds, the outcome is a description or one of our errors.
void expect_description_or_error(const json::object& config) {
  try {
    EXPECT_FALSE(make_model_spec(config).layers.empty());
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == kInvalid || error.code() == kUnsupported) << error.what();
  }
}

void try_every_value(std::string_view type, json::string_view key) {
  for (const char* value :
       {"null",
        "true",
        "-1",
        "0",
        "1",
        "9223372036854775807",
        "18446744073709551615",
        "-1e308",
        "1.5",
        "1e308",
        "\"\"",
        "\"x\"",
        "[]",
        "[null]",
        "[[]]",
        "{}",
        R"({"a": 1})",
        R"({"rope_type": "yarn", "factor": null})"}) {
    json::object config = sound_config(type);
    config[key] = parse_json(value);
    expect_description_or_error(config);
  }
}

TEST(BadConfig, EveryFieldOfEveryFamilySurvivesEveryKindOfValue) {
  for (const std::string_view type : supported_model_types()) {
    const json::object fields = sound_config(type);
    for (const auto& field : fields) try_every_value(type, field.key());
    for (const char* key :
         {"rope_scaling",
          "rope_parameters",
          "rope_theta",
          "layer_types",
          "hidden_act",
          "text_config",
          "partial_rotary_factor",
          "query_pre_attn_scalar",
          "sliding_window_pattern",
          "attention_bias",
          "rope_local_base_freq"}) {
      try_every_value(type, key);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Types,
    BadConfigTest,
    testing::Values(
        BadConfig{
            "llama",
            R"({"model_type": "mamba"})",
            kUnsupported,
            "model_type \"mamba\" is not supported; there are gemma3, gemma3_text, llama, mistral, "
            "phi3, qwen2, qwen3"
        },
        BadConfig{"llama", R"({"model_type": null})", kInvalid, "model_type is missing"},
        BadConfig{"llama", R"({"model_type": 7})", kInvalid, "model_type must be a string, got 7"},
        BadConfig{
            "llama", R"({"model_type": "Llama"})", kUnsupported, "\"Llama\" is not supported"
        },
        BadConfig{
            "gemma3",
            R"({"text_config": []})",
            kInvalid,
            "text_config must be an object, got an array of 0"
        }
    )
);

INSTANTIATE_TEST_SUITE_P(
    Sizes,
    BadConfigTest,
    testing::Values(
        BadConfig{
            "llama",
            R"({"num_attention_heads": 0})",
            kInvalid,
            "num_attention_heads must be an integer from 1"
        },
        BadConfig{
            "llama", R"({"num_attention_heads": null})", kInvalid, "num_attention_heads is missing"
        },
        BadConfig{"llama", R"({"num_attention_heads": "4"})", kInvalid, "got \"4\""},
        BadConfig{
            "llama",
            R"({"num_attention_heads": 4.0})",
            kInvalid,
            "num_attention_heads must be an integer"
        },
        BadConfig{
            "llama", R"({"num_key_value_heads": 3})", kInvalid, "num_key_value_heads must divide"
        },
        BadConfig{
            "llama", R"({"num_key_value_heads": 8})", kInvalid, "num_key_value_heads must divide"
        },
        BadConfig{
            "llama",
            R"({"num_key_value_heads": 0})",
            kInvalid,
            "num_key_value_heads must be an integer"
        },
        BadConfig{
            "llama",
            R"({"num_hidden_layers": 1025})",
            kInvalid,
            "num_hidden_layers must be an integer from 1 to 1024"
        },
        BadConfig{"llama", R"({"num_hidden_layers": -1})", kInvalid, "num_hidden_layers"},
        BadConfig{
            "llama",
            R"({"hidden_size": 9223372036854775807})",
            kInvalid,
            "hidden_size must be an integer"
        },
        BadConfig{
            "llama",
            R"({"vocab_size": 18446744073709551615})",
            kInvalid,
            "vocab_size must be an integer"
        },
        BadConfig{"llama", R"({"vocab_size": 0})", kInvalid, "vocab_size must be an integer"},
        BadConfig{"llama", R"({"intermediate_size": []})", kInvalid, "got an array of 0"},
        BadConfig{"llama", R"({"head_dim": 7})", kInvalid, "needed is an even number"},
        BadConfig{
            "llama",
            R"({"head_dim": null, "hidden_size": 33})",
            kInvalid,
            "must divide hidden_size 33"
        },
        BadConfig{
            "llama",
            R"({"rms_norm_eps": -1})",
            kInvalid,
            "rms_norm_eps must be a number from 0 to 1"
        },
        BadConfig{"llama", R"({"rms_norm_eps": true})", kInvalid, "got true"},
        BadConfig{
            "llama", R"({"max_position_embeddings": 0})", kInvalid, "max_position_embeddings"
        },
        BadConfig{
            "llama",
            R"({"tie_word_embeddings": 1})",
            kInvalid,
            "tie_word_embeddings must be true or false, got 1"
        },
        BadConfig{
            "mistral",
            R"({"sliding_window": 0})",
            kInvalid,
            "sliding_window must be an integer from 1"
        },
        BadConfig{
            "gemma3",
            R"({"query_pre_attn_scalar": 0})",
            kInvalid,
            "query_pre_attn_scalar must be a number"
        },
        BadConfig{
            "gemma3", R"({"sliding_window_pattern": 0})", kInvalid, "sliding_window_pattern must be"
        },
        BadConfig{
            "gemma3",
            R"({"attn_logit_softcapping": -1})",
            kInvalid,
            "attn_logit_softcapping must be a number"
        }
    )
);

INSTANTIATE_TEST_SUITE_P(
    Options,
    BadConfigTest,
    testing::Values(
        BadConfig{
            "llama",
            R"({"hidden_act": "relu2"})",
            kUnsupported,
            "hidden_act is \"relu2\"; there are silu"
        },
        BadConfig{"llama", R"({"num_local_experts": 8})", kUnsupported, "num_local_experts is set"},
        BadConfig{
            "qwen3", R"({"num_experts": 128, "moe_intermediate_size": 768})", kUnsupported, "is set"
        },
        BadConfig{
            "llama",
            R"({"attention_multiplier": 0.0078125})",
            kUnsupported,
            "attention_multiplier is 0.0078125"
        },
        BadConfig{"llama", R"({"residual_multiplier": 0.22})", kUnsupported, "residual_multiplier"},
        BadConfig{"llama", R"({"sliding_window": 4096})", kUnsupported, "sliding_window is set"},
        BadConfig{
            "llama",
            R"({"layer_types": ["full_attention", "sliding_attention"]})",
            kUnsupported,
            "layer_types contradicts"
        },
        BadConfig{
            "mistral",
            R"({"layer_types": ["full_attention", "sliding_attention"]})",
            kUnsupported,
            "layer_types contradicts"
        },
        BadConfig{"mistral", R"({"attention_bias": true})", kUnsupported, "attention_bias is set"},
        BadConfig{"phi3", R"({"lm_head_bias": true})", kUnsupported, "lm_head_bias is set"},
        BadConfig{
            "qwen2",
            R"({"final_logit_softcapping": 30.0})",
            kUnsupported,
            "final_logit_softcapping is set"
        },
        BadConfig{
            "qwen2",
            R"({"layer_types": ["full_attention", "linear_attention"]})",
            kUnsupported,
            "\"linear_attention\""
        },
        BadConfig{
            "qwen2",
            R"({"layer_types": ["full_attention"]})",
            kInvalid,
            "one type for each of 2 layers, got 1"
        },
        BadConfig{
            "qwen2",
            R"({"layer_types": [1, 2]})",
            kInvalid,
            "layer_types must hold strings, element 0 is 1"
        },
        BadConfig{
            "qwen3",
            R"({"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": false})",
            kInvalid,
            "use_sliding_window is not true"
        },
        BadConfig{
            "qwen2",
            R"({"partial_rotary_factor": 0.5})",
            kUnsupported,
            "partial_rotary_factor is 0.5"
        },
        BadConfig{
            "llama",
            R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
            kUnsupported,
            "rope_parameters: partial_rotary_factor is 0.5"
        },
        BadConfig{
            "llama",
            R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})",
            kUnsupported,
            "rope_scaling: rope_type \"dynamic\" is not implemented"
        },
        BadConfig{
            "llama", R"({"rope_scaling": 8})", kInvalid, "rope_scaling must be an object, got 8"
        },
        BadConfig{"llama", R"({"rope_theta": 0})", kInvalid, "rope_theta must be a number"},
        BadConfig{
            "gemma3",
            R"({"use_bidirectional_attention": true})",
            kUnsupported,
            "use_bidirectional_attention is set"
        },
        BadConfig{
            "gemma3_text",
            R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})",
            kInvalid,
            "rope_parameters must hold one object for each of"
        },
        BadConfig{
            "gemma3_text",
            R"({"rope_parameters": {"sliding_attention": {"rope_type": "proportional"}}})",
            kUnsupported,
            "rope_parameters: sliding_attention: rope_type \"proportional\""
        },
        BadConfig{
            "phi3",
            R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [1, 1]}})",
            kInvalid,
            "long_factor must hold one factor for each of 4 frequencies, got 2"
        }
    )
);

TEST(BadConfig, NestedFieldsAreNamedWithTheirPath) {
  json::object config = sound_config("gemma3");
  config["text_config"] = parse_json(R"({"num_hidden_layers": 0})");
  try {
    static_cast<void>(make_model_spec(config, "a/config.json"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(
        std::string(error.what()).rfind("a/config.json: text_config: num_hidden_layers must be", 0),
        0U
    ) << error.what();
  }
}

}  // namespace
}  // namespace mlxs
