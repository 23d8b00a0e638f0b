// Where a model's weights come from: a checkpoint's files (tensor_loader.h) or a random generator
// (random_weights.h).
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// Rows [first_row, first_row + num_rows) of a module's weight that has total_rows rows. A fused
// projection is asked for as several of these.
struct MatrixRequest {
  std::string module = {};  // "model.layers.0.self_attn.q_proj"
  std::int64_t total_rows = 0;
  std::int64_t num_columns = 0;
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
  bool has_bias = false;
};

// THREADS: the device thread only.
class WeightSource {
 public:
  WeightSource() = default;
  virtual ~WeightSource() = default;
  WeightSource(const WeightSource&) = delete;
  WeightSource& operator=(const WeightSource&) = delete;

  // RETURNS: evaluated arrays; the bias in the type that the model computes in, scales and biases
  // too on a GPU.
  [[nodiscard]] virtual Linear matrix(const MatrixRequest& request) = 0;

  // RETURNS: `name`.weight [num_values] + `addend` in the type that the model computes in.
  [[nodiscard]] virtual mx::array norm_weight(
      const std::string& name, std::int64_t num_values, float addend
  ) = 0;
};

}  // namespace mlxs
