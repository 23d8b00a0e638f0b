// Everything is drawn by MLX and evaluated matrix by matrix, so that peak memory stays near the
// weights.
#include "model/random_weights.h"

#include <mlx/ops.h>
#include <mlx/random.h>
#include <mlx/transforms.h>
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstdint>

#include "mlx_serving/error.h"
#include "model/checkpoint/json_file.h"

namespace mlxs {
namespace {

constexpr float kSpread = 0.02F;  // the usual standard deviation of initial weights

mx::Dtype read_dtype(const json::object& config, const std::string& where) {
  const char* key = file_member(config, "dtype") != nullptr ? "dtype" : "torch_dtype";
  const std::string name = file_string(config, key, where).value_or("bfloat16");
  if (name == "bfloat16") return mx::bfloat16;
  if (name == "float16") return mx::float16;
  if (name == "float32") return mx::float32;
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{}: {} is '{}'; supported are bfloat16, float16 and float32", where, key, name)
  );
}

std::string name_of(mx::Dtype dtype) {
  if (dtype == mx::bfloat16) return "bfloat16";
  return dtype == mx::float16 ? "float16" : "float32";
}

}  // namespace

RandomWeights read_random_weights(
    const json::object& config, const std::string& where, mx::Device device
) {
  RandomWeights weights;
  weights.dense = read_dtype(config, where);
  weights.activations = device == mx::Device::cpu ? mx::float32 : weights.dense;
  weights.quantization = QuantizationTable(config, where).find("model.embed_tokens");
  weights.description = weights.quantization ? fmt::format(
                                                   "{}-bit affine, groups of {}",
                                                   weights.quantization->bits,
                                                   weights.quantization->group_size
                                               )
                                             : name_of(weights.dense);
  return weights;
}

std::int64_t matrix_bytes(const ModelSpec& spec, const RandomWeights& weights) {
  const std::int64_t hidden = spec.hidden_size;
  std::int64_t num_values = hidden * spec.vocab_size * (spec.tied_embeddings ? 1 : 2);
  for (const LayerSpec& layer : spec.layers) {
    const AttentionSpec& attention = layer.attention;
    const std::int64_t num_rows =
        std::int64_t{2} * (attention.num_heads + attention.num_kv_heads) * attention.head_dim;
    num_values += hidden * (num_rows + std::int64_t{3} * layer.mlp.intermediate_size);
  }
  const auto dense_size = static_cast<std::int64_t>(mx::size_of(weights.dense));
  if (!weights.quantization) return num_values * dense_size;
  const auto scale_size = static_cast<std::int64_t>(mx::size_of(weights.dense));
  return num_values * weights.quantization->bits / 8 +
         2 * scale_size * num_values / weights.quantization->group_size;
}

mx::array RandomSource::next_key() { return mx::random::key(num_matrices_++); }

Linear RandomSource::matrix(const MatrixRequest& request) {
  const mx::Shape shape{static_cast<int>(request.num_rows), static_cast<int>(request.num_columns)};
  Linear result =
      weights_.quantization
          ? quantized(shape, *weights_.quantization)
          : Linear{.weight = mx::random::normal(shape, weights_.dense, 0.0F, kSpread, next_key())};
  if (request.has_bias) result.bias = mx::zeros({shape[0]}, weights_.activations);
  mx::eval(result.weight);
  if (result.scales) mx::eval(*result.scales, *result.biases);
  if (result.bias) mx::eval(*result.bias);
  return result;
}

Linear RandomSource::quantized(const mx::Shape& shape, const Quantization& layout) {
  if (shape[1] % layout.group_size != 0) {
    throw Error(
        ErrorCode::invalid_model,
        fmt::format(
            "{} columns are no multiple of the quantization's groups of {}",
            shape[1],
            layout.group_size
        )
    );
  }
  const int num_words = shape[1] / 32 * layout.bits;
  const mx::Shape groups{shape[0], shape[1] / layout.group_size};
  // Uniform integers of this many levels, scaled to the spread of the dense ones and centred on
  // zero.
  const float num_levels = static_cast<float>(1 << layout.bits);
  const float scale = kSpread * std::sqrt(12.0F) / num_levels;
  return {
      .weight = mx::random::bits({shape[0], num_words}, 4, next_key()),
      .scales = mx::full(groups, scale, weights_.dense),
      .biases = mx::full(groups, -scale * (num_levels - 1.0F) / 2.0F, weights_.dense),
      .bits = layout.bits,
      .group_size = layout.group_size
  };
}

mx::array
RandomSource::norm_weight(const std::string& /*name*/, std::int64_t num_values, float /*addend*/) {
  mx::array ones = mx::ones({static_cast<int>(num_values)}, weights_.activations);
  ones.eval();
  return ones;
}

}  // namespace mlxs
