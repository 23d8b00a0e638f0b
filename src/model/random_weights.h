// Random weights of a given shape, for benchmarks of models that are not at hand. Their output
// means nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "kernels/mx.h"
#include "model/checkpoint/quantization.h"
#include "model/model_spec.h"
#include "model/weight_source.h"

namespace mlxs {

struct RandomWeights {
  mx::Dtype activations = mx::float32;            // what the model computes in
  mx::Dtype dense = mx::bfloat16;                 // how weights that are not quantized are stored
  std::optional<Quantization> quantization = {};  // of every projection and the embedding
  std::string description = {};                   // "4-bit affine, groups of 64"
};

// Takes "quantization" (as mlx-lm writes it) and "torch_dtype" or "dtype" of a config.json;
// bfloat16 where it has none. ERRORS: invalid_model naming `where`; unsupported_model for another
// type or scheme.
[[nodiscard]] RandomWeights read_random_weights(
    const json::object& config, const std::string& where, mx::Device device
);

// RETURNS: the bytes of all matrices of such a model; norms and biases are not counted.
[[nodiscard]] std::int64_t matrix_bytes(const ModelSpec& spec, const RandomWeights& weights);

// Normally distributed dense weights, uniform quantized ones, both of about the spread of trained
// ones, so that activations stay finite. Equal requests in equal order give equal weights.
class RandomSource final : public WeightSource {
 public:
  explicit RandomSource(const RandomWeights& weights) : weights_(weights) {}

  [[nodiscard]] Linear matrix(const MatrixRequest& request) override;
  [[nodiscard]] mx::array norm_weight(
      const std::string& name, std::int64_t num_values, float addend
  ) override;

 private:
  [[nodiscard]] Linear quantized(const mx::Shape& shape, const Quantization& layout);
  [[nodiscard]] mx::array next_key();

  RandomWeights weights_;
  std::uint64_t num_matrices_ = 0;
};

}  // namespace mlxs
