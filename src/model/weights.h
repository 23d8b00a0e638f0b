// The weights of a model: finds every tensor that a ModelSpec names and puts it where the kernels
// expect it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/decoder_layer/decoder_layer.h"
#include "kernels/linear/linear.h"
#include "kernels/mx.h"
#include "mlx_serving/config.h"
#include "model/checkpoint/checkpoint.h"
#include "model/model_spec.h"
#include "model/weight_source.h"

namespace mlxs {

struct ModelWeights {
  Linear embedding;              // [V, E]
  std::optional<Linear> output;  // [V, E]; not set: tied, the embedding is used
  mx::array final_norm;          // [E]
  std::vector<DecoderLayer> layers;
};

// Asks `source` for everything that `spec` names, in the order of the layers. On the CPU each
// matrix is packed for `cpu` as it comes; null on a GPU. ERRORS: as the source's.
[[nodiscard]] ModelWeights read_weights(
    WeightSource& source, const ModelSpec& spec, const std::shared_ptr<CpuContext>& cpu
);

struct WeightOptions {
  // what the model computes in; norms and biases are converted to it, on a GPU scales too
  mx::Dtype activations = mx::float32;
  std::shared_ptr<CpuContext> cpu = {};  // packs and multiplies the weights; null on a GPU
  LoadProgress progress = {};
};

// Reads everything, in the order of the layers. Peak memory is the weights and the largest matrix.
// ERRORS: invalid_model naming the tensor and the file for a missing tensor or a wrong shape;
// unsupported_model for a type that cannot be loaded.
[[nodiscard]] ModelWeights load_weights(
    const Checkpoint& checkpoint, const ModelSpec& spec, const WeightOptions& options
);

// RETURNS: the bytes of all arrays and packed weights.
[[nodiscard]] std::int64_t weight_bytes(const ModelWeights& weights);

}  // namespace mlxs
