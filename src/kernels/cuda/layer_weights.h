// A model's weights as the kernels read them, with the projections that read the same rows joined.
#pragma once

#include <optional>
#include <vector>

#include "kernels/decoder_layer/decoder_layer.h"
#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs::cuda {

// One matrix on the device; the array members keep the memory.
struct Matrix {
  Linear arrays;
  const void* weight = nullptr;
  const void* scales = nullptr;
  const void* biases = nullptr;
  const void* bias = nullptr;
  int num_outputs = 0;
  int num_columns = 0;
  int bits = 16;  // 16: dense
  int group_size = 1;
};

struct LayerWeights {
  AttentionSpec attention;
  MlpSpec mlp;
  float norm_eps = 0.0F;
  Matrix qkv, o, gate_up, down;
  std::optional<mx::array> q_norm, k_norm;
  std::optional<mx::array> pre_attention, post_attention, pre_mlp, post_mlp;
};

// RETURNS: whether the kernels take such a matrix with activations of `dtype`.
[[nodiscard]] bool is_supported(const Linear& matrix, mx::Dtype dtype);
[[nodiscard]] bool is_supported(const DecoderLayer& layer, mx::Dtype dtype);

// The matrix in memory of the device. Evaluates.
[[nodiscard]] Matrix device_matrix(const Linear& matrix);

// Joins q, k, v and gate, up; the layer's own arrays become parts of the joined ones. Evaluates.
[[nodiscard]] LayerWeights join_layer(DecoderLayer& layer);

// RETURNS: the address on the device, or nullptr.
[[nodiscard]] const void* address_of(const std::optional<mx::array>& x);

}  // namespace mlxs::cuda
