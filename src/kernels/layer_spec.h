// The shape and arithmetic of one decoder layer, as plain data: what a LayerSpec of model/ and the
// kernels share. No MLX, no names of tensors.
#pragma once

#include <vector>

namespace mlxs {

enum class Activation { silu, gelu_tanh };

// Rotary embedding, already reduced to frequencies: every scaling (linear, llama3, yarn, longrope)
// is applied here once. Rotation pairs dimension i with i + num_dims/2 ("half" style); interleaved
// checkpoints are permuted at load.
struct RopeSpec {
  int num_dims = 0;  // rotated leading dimensions of a head; the rest passes through
  std::vector<float> inv_freq = {};  // [num_dims / 2]
  // [num_dims / 2] longrope: used by sequences longer than original_context; else empty
  std::vector<float> inv_freq_long = {};
  int original_context = 0;       // longrope: the switch, in tokens; 0 elsewhere
  float attention_factor = 1.0F;  // multiplies cos and sin (yarn, longrope)
};

struct AttentionSpec {
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  float scale = 0.0F;     // multiplies q k^T
  int window = 0;         // a token sees itself and window - 1 before it; 0: all
  float soft_cap = 0.0F;  // s -> cap * tanh(s / cap) on scores; 0: off
  int rope = 0;           // index into ModelSpec::ropes; -1: no rotation
  bool has_qkv_bias = false;
  bool has_output_bias = false;
  bool has_qk_norm = false;  // RMS norm of each head of q and k, before the rotation
};

struct MlpSpec {
  int intermediate_size = 0;
  Activation activation = Activation::silu;  // down(act(gate(x)) * up(x))
  bool has_bias = false;
};

}  // namespace mlxs
