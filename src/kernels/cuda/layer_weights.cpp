// Joining is a copy on the device, layer by layer, so that peak memory stays near the weights.
#include "kernels/cuda/layer_weights.h"

#include <mlx/ops.h>
#include <mlx/transforms.h>

#include <cstddef>

#include "kernels/cuda/context.h"

namespace mlxs::cuda {
namespace {

// Rows of several arrays one after another, in new memory. Missing ones count as absent for all.
std::optional<mx::array> join_rows(const std::vector<std::optional<mx::array>>& parts) {
  std::vector<mx::array> arrays;
  for (const std::optional<mx::array>& part : parts) {
    if (!part) return std::nullopt;
    arrays.push_back(*part);
  }
  mx::array joined = mx::concatenate(arrays, 0);
  joined.eval();
  return joined;
}

mx::array rows_of(const mx::array& x, int first, int last) {
  mx::Shape from(x.ndim(), 0);
  mx::Shape to = x.shape();
  from[0] = first;
  to[0] = last;
  mx::array part = mx::slice(x, from, to);
  part.eval();
  return part;
}

Linear rows_of(const Linear& matrix, int first, int last) {
  Linear part = matrix;
  part.weight = rows_of(matrix.weight, first, last);
  if (matrix.scales) part.scales = rows_of(*matrix.scales, first, last);
  if (matrix.biases) part.biases = rows_of(*matrix.biases, first, last);
  if (matrix.bias) part.bias = rows_of(*matrix.bias, first, last);
  return part;
}

Matrix as_matrix(const Linear& arrays) {
  Matrix matrix{.arrays = arrays};
  matrix.weight = address_of(arrays.weight);
  matrix.scales = address_of(arrays.scales);
  matrix.biases = address_of(arrays.biases);
  matrix.bias = address_of(arrays.bias);
  matrix.num_outputs = arrays.weight.shape(0);
  matrix.num_columns = arrays.weight.shape(1);
  if (arrays.is_quantized()) {
    matrix.bits = arrays.bits;
    matrix.group_size = arrays.group_size;
    matrix.num_columns = arrays.weight.shape(1) * 32 / arrays.bits;
  }
  return matrix;
}

// Takes the parts' places in turn.
Matrix join(const std::vector<Linear*>& parts) {
  std::vector<std::optional<mx::array>> weights, scales, biases, bias;
  for (const Linear* part : parts) {
    weights.emplace_back(part->weight);
    scales.push_back(part->scales);
    biases.push_back(part->biases);
    bias.push_back(part->bias);
  }
  Linear joined = *parts.front();
  joined.weight = *join_rows(weights);
  joined.scales = join_rows(scales);
  joined.biases = join_rows(biases);
  joined.bias = join_rows(bias);
  int first = 0;
  for (Linear* part : parts) {
    const int last = first + part->weight.shape(0);
    *part = rows_of(joined, first, last);
    first = last;
  }
  return as_matrix(joined);
}

bool have_one_layout(const std::vector<const Linear*>& parts) {
  const Linear& first = *parts.front();
  for (const Linear* part : parts) {
    const bool is_alike = part->bits == first.bits && part->group_size == first.group_size &&
                          part->is_quantized() == first.is_quantized() &&
                          part->bias.has_value() == first.bias.has_value();
    if (!is_alike) return false;
  }
  return true;
}

}  // namespace

const void* address_of(const std::optional<mx::array>& x) {
  return x ? reinterpret_cast<const void*>(device_address(*x)) : nullptr;
}

bool is_supported(const Linear& matrix, mx::Dtype dtype) {
  if (!matrix.is_quantized())
    return matrix.weight.dtype() == dtype && matrix.weight.shape(1) % 8 == 0;
  const bool has_layout =
      (matrix.bits == 4 || matrix.bits == 8) &&
      (matrix.group_size == 32 || matrix.group_size == 64 || matrix.group_size == 128);
  return has_layout && matrix.scales->dtype() == dtype && matrix.biases &&
         matrix.biases->dtype() == dtype;
}

bool is_supported(const DecoderLayer& layer, mx::Dtype dtype) {
  const AttentionWeights& attention = layer.attention;
  const MlpWeights& mlp = layer.mlp;
  for (const Linear* matrix :
       {&attention.q, &attention.k, &attention.v, &attention.o, &mlp.gate, &mlp.up, &mlp.down}) {
    if (!is_supported(*matrix, dtype)) return false;
    if (matrix->bias && matrix->bias->dtype() != dtype) return false;
  }
  for (const auto* norm :
       {&attention.q_norm,
        &attention.k_norm,
        &attention.pre_norm,
        &attention.post_norm,
        &mlp.pre_norm,
        &mlp.post_norm}) {
    if (*norm && (*norm)->dtype() != dtype) return false;
  }
  const int head_dim = layer.attention_spec.head_dim;
  return head_dim % 16 == 0 && head_dim <= 256 && layer.mlp_spec.intermediate_size % 2 == 0 &&
         have_one_layout({&attention.q, &attention.k, &attention.v}) &&
         have_one_layout({&mlp.gate, &mlp.up});
}

Matrix device_matrix(const Linear& matrix) {
  // Two parts joined are new memory of the device, wherever the array was read to.
  const int num_rows = matrix.weight.shape(0);
  if (num_rows < 2) return as_matrix(matrix);
  Linear upper = rows_of(matrix, 0, num_rows / 2);
  Linear lower = rows_of(matrix, num_rows / 2, num_rows);
  return join({&upper, &lower});
}

LayerWeights join_layer(DecoderLayer& layer) {
  AttentionWeights& attention = layer.attention;
  MlpWeights& mlp = layer.mlp;
  LayerWeights result{
      .attention = layer.attention_spec,
      .mlp = layer.mlp_spec,
      .norm_eps = layer.norm_eps,
      .qkv = join({&attention.q, &attention.k, &attention.v}),
      .o = device_matrix(attention.o),
      .gate_up = join({&mlp.gate, &mlp.up}),
      .down = device_matrix(mlp.down),
      .q_norm = attention.q_norm,
      .k_norm = attention.k_norm,
      .pre_attention = attention.pre_norm,
      .post_attention = attention.post_norm,
      .pre_mlp = mlp.pre_norm,
      .post_mlp = mlp.post_norm
  };
  attention.o = result.o.arrays;
  mlp.down = result.down.arrays;
  return result;
}

}  // namespace mlxs::cuda
