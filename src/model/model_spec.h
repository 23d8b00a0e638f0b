// What a model family is, as plain data: a family file turns a configuration into a ModelSpec and
// nothing else. kernels/decoder_layer executes a LayerSpec; model/weights finds the tensors that it
// names. No MLX here.
#pragma once

#include <string>
#include <vector>

#include "kernels/layer_spec.h"

namespace mlxs {

// Checkpoint names of a layer's tensors, without ".weight"; empty: this layer has none.
// A fused projection (qkv, gate_up) is split by rows at load, in the order of its name.
struct LayerNames {
  std::string q, k, v, o;
  std::string qkv;
  std::string gate, up, down;
  std::string gate_up;
  std::string q_norm, k_norm;
  std::string pre_attention_norm, post_attention_norm;
  std::string pre_mlp_norm, post_mlp_norm;
};

// x += post_attention_norm(attention(pre_attention_norm(x))); x +=
// post_mlp_norm(mlp(pre_mlp_norm(x))). A norm whose name is empty is the identity.
struct LayerSpec {
  AttentionSpec attention;
  MlpSpec mlp;
  LayerNames names;
};

struct ModelSpec {
  std::string family;  // the family file's name: "llama", "qwen3"
  int vocab_size = 0;
  int hidden_size = 0;
  int context_length = 0;  // the longest sequence that the configuration allows, in tokens
  float norm_eps = 0.0F;
  bool norm_weight_plus_one = false;  // Gemma stores w - 1
  float embedding_scale = 1.0F;
  float logit_soft_cap = 0.0F;   // 0: off
  bool tied_embeddings = false;  // the output projection is the embedding
  std::string embedding_name, final_norm_name, output_name;
  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;
};

}  // namespace mlxs
