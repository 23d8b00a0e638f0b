// The name tables behind hugging_face_name().
#include "model/checkpoint/gguf_names.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace mlxs {
namespace {

struct NamePair {
  std::string_view gguf;
  std::string_view hugging_face;
};

constexpr std::array<std::string_view, 5> kArchitectures = {
    "llama", "qwen2", "qwen3", "gemma3", "phi3"
};

constexpr std::array kModelNames = {
    NamePair{"token_embd", "model.embed_tokens"},
    NamePair{"output_norm", "model.norm"},
    NamePair{"output", "lm_head"},
};

constexpr std::array kLayerNames = {
    NamePair{"attn_norm", "input_layernorm"},
    NamePair{"attn_q", "self_attn.q_proj"},
    NamePair{"attn_k", "self_attn.k_proj"},
    NamePair{"attn_v", "self_attn.v_proj"},
    NamePair{"attn_qkv", "self_attn.qkv_proj"},
    NamePair{"attn_output", "self_attn.o_proj"},
    NamePair{"attn_q_norm", "self_attn.q_norm"},
    NamePair{"attn_k_norm", "self_attn.k_norm"},
    NamePair{"ffn_norm", "post_attention_layernorm"},
    NamePair{"ffn_gate", "mlp.gate_proj"},
    NamePair{"ffn_up", "mlp.up_proj"},
    NamePair{"ffn_down", "mlp.down_proj"},
};

// Where an architecture differs from kLayerNames.
constexpr std::array kGemma3LayerNames = {
    NamePair{"post_attention_norm", "post_attention_layernorm"},
    NamePair{"ffn_norm", "pre_feedforward_layernorm"},
    NamePair{"post_ffw_norm", "post_feedforward_layernorm"},
};

constexpr std::array kPhi3LayerNames = {NamePair{"ffn_up", "mlp.gate_up_proj"}};

std::string_view find_name(std::span<const NamePair> names, std::string_view gguf) {
  const auto row = std::find_if(names.begin(), names.end(), [&](const NamePair& pair) {
    return pair.gguf == gguf;
  });
  return row == names.end() ? std::string_view() : row->hugging_face;
}

std::string_view find_layer_name(std::string_view architecture, std::string_view gguf) {
  std::string_view special;
  if (architecture == "gemma3") special = find_name(kGemma3LayerNames, gguf);
  if (architecture == "phi3") special = find_name(kPhi3LayerNames, gguf);
  return special.empty() ? find_name(kLayerNames, gguf) : special;
}

// One to four digits without a leading zero, so that no two spellings name one layer.
bool is_layer_number(std::string_view text) {
  if (text.empty() || text.size() > 4 || (text.size() > 1 && text.front() == '0')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_known_gguf_architecture(std::string_view architecture) {
  return std::find(kArchitectures.begin(), kArchitectures.end(), architecture) !=
         kArchitectures.end();
}

std::string hugging_face_name(std::string_view architecture, std::string_view gguf_name) {
  std::string unchanged(gguf_name);
  if (!is_known_gguf_architecture(architecture)) return unchanged;
  const std::size_t dot = gguf_name.rfind('.');
  if (dot == std::string_view::npos) return unchanged;
  const std::string_view suffix = gguf_name.substr(dot);
  if (suffix != ".weight" && suffix != ".bias") return unchanged;
  std::string_view stem = gguf_name.substr(0, dot);
  constexpr std::string_view kBlock = "blk.";
  if (!stem.starts_with(kBlock)) {
    const std::string_view name = find_name(kModelNames, stem);
    return name.empty() ? unchanged : std::string(name).append(suffix);
  }
  stem.remove_prefix(kBlock.size());
  const std::size_t after_number = stem.find('.');
  if (after_number == std::string_view::npos) return unchanged;
  const std::string_view number = stem.substr(0, after_number);
  const std::string_view name = find_layer_name(architecture, stem.substr(after_number + 1));
  if (!is_layer_number(number) || name.empty()) return unchanged;
  return std::string("model.layers.").append(number).append(".").append(name).append(suffix);
}

}  // namespace mlxs
