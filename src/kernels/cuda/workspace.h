// The parts of a model that a pass reads, and the memory that it writes on its way.
#pragma once

#include <vector>

#include "kernels/cuda/context.h"
#include "kernels/cuda/layer_weights.h"
#include "kernels/cuda/products.h"
#include "kernels/layer_spec.h"
#include "kernels/mx.h"

namespace mlxs::cuda {

inline constexpr int kMaxSplits = 32;  // of a sequence's keys over blocks

struct DecoderParts {
  Matrix embedding;
  Matrix output;
  mx::array final_norm;
  std::vector<LayerWeights> layers;
  std::vector<RopeSpec> ropes;
  float norm_eps = 0.0F;
  float embedding_scale = 1.0F;
  bool is_float16 = false;
  int hidden_size = 0;
};

// What a pass of at most `num_rows` rows writes on its way. Addresses do not change.
struct Workspace {
  Workspace(const Context& context, const DecoderParts& parts, int num_rows);

  int num_rows = 0;
  DeviceBuffer tokens, hidden, normed, qkv, mixed, projected, gated, partials, arrivals;
  ProductSpace products;
  std::vector<DeviceBuffer> cosines, sines;
};

}  // namespace mlxs::cuda
