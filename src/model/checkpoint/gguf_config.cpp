// Metadata keys to Hugging Face's configuration keys, following the conventions of llama.cpp's
// converter and loader.
#include "model/checkpoint/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/gguf_names.h"
#include "model/checkpoint/gguf_rope.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr int kMaxLayers = 1024;

// Keys after "{architecture}." that change the computation in ways that these families do not have.
constexpr std::array<std::string_view, 14> kForeignNumbers = {
    "attention.scale",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "attn_logit_softcapping",
    "attention.max_alibi_bias",
    "attention.clamp_kqv",
    "attention.temperature_scale",
    "attention.temperature_length",
    "router_logit_softcapping",
    "attention.q_lora_rank",
    "attention.kv_lora_rank",
    "leading_dense_block_count",
    "pooling_type",
};

// The keys of one architecture, with the checks that all of them share.
class ConfigBuilder {
 public:
  ConfigBuilder(const GgufHeader& header, const FactorReader& read_factors)
      : header_(header),
        read_factors_(read_factors),
        architecture_(gguf_architecture(header.metadata)) {}

  json::object build() {
    refuse_foreign_keys();
    add_sizes();
    add_attention();
    add_rope();
    config_["tie_word_embeddings"] = find_tensor("output.weight") == nullptr;
    if (architecture_ == "gemma3") {
      add_gemma3();
    } else {
      config_["hidden_act"] = "silu";
      add_sliding_window();
    }
    return std::move(config_);
  }

 private:
  [[nodiscard]] const GgufMetadata& metadata() const { return header_.metadata; }
  [[nodiscard]] std::string key(std::string_view name) const {
    return fmt::format("{}.{}", architecture_, name);
  }

  [[nodiscard]] const TensorInfo* find_tensor(std::string_view name) const {
    const auto tensor =
        std::find_if(header_.tensors.begin(), header_.tensors.end(), [&](const TensorInfo& t) {
          return t.name == name;
        });
    return tensor == header_.tensors.end() ? nullptr : &*tensor;
  }

  [[nodiscard]] int positive(std::string_view name, std::optional<int> fallback = std::nullopt)
      const {
    const auto number = metadata().int32(key(name));
    if (!number && fallback) return *fallback;
    if (!number) throw invalid_model(metadata().file(), "key {} is missing", key(name));
    if (*number == 0)
      throw invalid_model(metadata().file(), "key {} is 0, it must be positive", key(name));
    return *number;
  }

  void refuse_foreign_keys() const {
    for (const std::string_view name : kForeignNumbers) {
      const auto entry = metadata().values().find(key(name));
      if (entry == metadata().values().end() || is_zero(entry->second)) continue;
      throw unsupported_model(
          metadata().file(),
          "key {} is set, but {} models do not have it here",
          key(name),
          architecture_
      );
    }
    if (!metadata().boolean(key("attention.causal")).value_or(true)) {
      throw unsupported_model(
          metadata().file(), "attention is not causal; embedding models cannot be served"
      );
    }
  }

  static bool is_zero(const GgufValue& value) {
    if (const auto* number = std::get_if<std::uint64_t>(&value.value)) return *number == 0;
    if (const auto* number = std::get_if<std::int64_t>(&value.value)) return *number == 0;
    if (const auto* number = std::get_if<double>(&value.value)) return *number == 0.0;
    return false;
  }

  void add_sizes() {
    const TensorInfo* embedding = find_tensor("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2) {
      throw invalid_model(
          metadata().file(), "tensor token_embd.weight is missing or has not two dimensions"
      );
    }
    num_layers_ = positive("block_count");
    hidden_size_ = positive("embedding_length");
    if (num_layers_ > kMaxLayers) {
      throw invalid_model(metadata().file(), "{} layers, the limit is {}", num_layers_, kMaxLayers);
    }
    config_["model_type"] = model_type();
    config_["vocab_size"] = embedding->shape.front();
    config_["hidden_size"] = hidden_size_;
    config_["num_hidden_layers"] = num_layers_;
    config_["intermediate_size"] = positive("feed_forward_length");
    config_["max_position_embeddings"] = positive("context_length");
    const auto eps = metadata().number(key("attention.layer_norm_rms_epsilon"));
    if (!eps || *eps <= 0.0) {
      throw invalid_model(
          metadata().file(),
          "key {} is missing or not positive",
          key("attention.layer_norm_rms_epsilon")
      );
    }
    config_["rms_norm_eps"] = *eps;
  }

  [[nodiscard]] std::string model_type() const {
    const std::uint64_t num_experts = metadata().unsigned_integer(key("expert_count")).value_or(0);
    if (num_experts > 0) return architecture_ == "llama" ? "mixtral" : architecture_ + "_moe";
    if (architecture_ == "gemma3") return "gemma3_text";
    // Mistral's files say llama; only its early versions have a window, and Hugging Face's llama
    // has no such key.
    const bool has_window = metadata().int32(key("attention.sliding_window")).value_or(0) > 0;
    return architecture_ == "llama" && has_window ? "mistral" : architecture_;
  }

  void add_attention() {
    const int num_heads = positive("attention.head_count");
    const int num_kv_heads = positive("attention.head_count_kv", num_heads);
    const bool has_head_dim = metadata().contains(key("attention.key_length"));
    if (!has_head_dim && hidden_size_ % num_heads != 0) {
      throw invalid_model(
          metadata().file(),
          "embedding_length {} is no multiple of the {} heads",
          hidden_size_,
          num_heads
      );
    }
    head_dim_ = positive("attention.key_length", hidden_size_ / num_heads);
    if (head_dim_ == 0) throw invalid_model(metadata().file(), "more heads than embedding_length");
    if (positive("attention.value_length", head_dim_) != head_dim_) {
      throw unsupported_model(metadata().file(), "keys and values of different length");
    }
    num_heads_ = num_heads;
    config_["num_attention_heads"] = num_heads;
    config_["num_key_value_heads"] = num_kv_heads;
    config_["head_dim"] = head_dim_;
    config_["attention_bias"] = find_tensor("blk.0.attn_q.bias") != nullptr;
    config_["mlp_bias"] = find_tensor("blk.0.ffn_up.bias") != nullptr;
  }

  void add_rope() {
    GgufRopeInputs inputs;
    inputs.architecture = architecture_;
    inputs.num_rotated = positive("rope.dimension_count", head_dim_);
    inputs.context_length = positive("context_length");
    if (inputs.num_rotated > head_dim_ || inputs.num_rotated % 2 != 0) {
      throw invalid_model(
          metadata().file(),
          "rope.dimension_count {} must be even and at most {}",
          inputs.num_rotated,
          head_dim_
      );
    }
    if (inputs.num_rotated != head_dim_) {
      config_["partial_rotary_factor"] = static_cast<double>(inputs.num_rotated) / head_dim_;
    }
    add_gguf_rope(metadata(), inputs, read_factors_, config_);
  }

  void add_sliding_window() {
    const auto window = metadata().int32(key("attention.sliding_window"));
    if (window && *window > 0) {
      config_["sliding_window"] = *window;
    } else {
      config_["sliding_window"] = nullptr;
    }
    if (architecture_ == "qwen2" || architecture_ == "qwen3")
      config_["use_sliding_window"] = window.value_or(0) > 0;
  }

  void add_gemma3() {
    config_["hidden_activation"] = "gelu_pytorch_tanh";
    config_["mlxs_norm_weights_folded"] = true;
    // Of the published sizes only 27B (62 layers) scales by hidden_size / heads instead of the
    // head's own size.
    constexpr int kLayersOf27B = 62;
    config_["query_pre_attn_scalar"] =
        num_layers_ == kLayersOf27B ? hidden_size_ / num_heads_ : head_dim_;
    config_["rope_local_base_freq"] =
        metadata().number(key("rope.freq_base_swa")).value_or(10000.0);
    if (const auto cap = metadata().number(key("final_logit_softcapping")); cap && *cap != 0.0) {
      config_["final_logit_softcapping"] = *cap;
    }
    const int window = metadata().int32(key("attention.sliding_window")).value_or(0);
    config_["sliding_window"] = window > 0 ? json::value(window) : json::value(nullptr);
    json::array layer_types;
    for (const bool is_sliding : sliding_layers(window)) {
      layer_types.emplace_back(is_sliding ? "sliding_attention" : "full_attention");
    }
    config_["layer_types"] = std::move(layer_types);
  }

  // The pattern is a period, of which the last layer is global, or one flag a layer; absent it
  // is 6.
  [[nodiscard]] std::vector<bool> sliding_layers(int window) const {
    const std::string name = key("attention.sliding_window_pattern");
    const auto count = static_cast<std::size_t>(num_layers_);
    if (window == 0) return std::vector<bool>(count, false);
    if (metadata().is_array(name)) return sliding_flags(name);
    const int period = positive("attention.sliding_window_pattern", 6);
    std::vector<bool> flags(count);
    for (std::size_t i = 0; i < count; ++i)
      flags[i] = (i + 1) % static_cast<std::size_t>(period) != 0;
    return flags;
  }

  [[nodiscard]] std::vector<bool> sliding_flags(const std::string& name) const {
    std::vector<bool> flags = metadata().booleans(name).value_or(std::vector<bool>());
    if (flags.size() == static_cast<std::size_t>(num_layers_)) return flags;
    throw invalid_model(
        metadata().file(), "key {} has {} flags for {} layers", name, flags.size(), num_layers_
    );
  }

  const GgufHeader& header_;
  const FactorReader& read_factors_;
  std::string architecture_;
  json::object config_;
  int num_layers_ = 0;
  int hidden_size_ = 0;
  int num_heads_ = 0;
  int head_dim_ = 0;
};

void refuse_split(const GgufMetadata& metadata) {
  if (metadata.unsigned_integer("split.count").value_or(0) <= 1) return;
  throw unsupported_model(
      metadata.file(), "one part of a split GGUF; merge the parts first (llama-gguf-split --merge)"
  );
}

}  // namespace

std::string gguf_architecture(const GgufMetadata& metadata) {
  const auto architecture = metadata.string("general.architecture");
  if (!architecture || architecture->empty()) {
    throw invalid_model(metadata.file(), "key general.architecture is missing");
  }
  return *architecture;
}

json::object make_gguf_config(const GgufHeader& header, const FactorReader& read_factors) {
  refuse_split(header.metadata);
  const std::string architecture = gguf_architecture(header.metadata);
  if (!is_known_gguf_architecture(architecture)) return {{"model_type", architecture}};
  return ConfigBuilder(header, read_factors).build();
}

}  // namespace mlxs
