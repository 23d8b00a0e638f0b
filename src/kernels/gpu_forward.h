// A whole model's forward pass by kernels of a GPU's own, where the back end has them. One
// primitive of MLX a step: the launches inside are not MLX's, and a decode step's are replayed.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/batch_view.h"
#include "kernels/decoder_layer/decoder_layer.h"
#include "kernels/kv_pages.h"
#include "kernels/layer_spec.h"
#include "kernels/linear/linear.h"
#include "kernels/mx.h"

namespace mlxs {

// The arrays of a model, evaluated.
struct GpuForwardParts {
  Linear embedding;              // [V, E]
  std::optional<Linear> output;  // [V, E]; not set: the embedding
  mx::array final_norm;          // [E]
  std::vector<DecoderLayer>& layers;
  std::vector<RopeSpec> ropes;
  float norm_eps = 0.0F;
  float embedding_scale = 1.0F;
  mx::Dtype dtype;  // of activations
};

// Thread safety: none; all calls from the thread that does all MLX work.
class GpuForward {
 public:
  virtual ~GpuForward() = default;
  GpuForward(const GpuForward&) = delete;
  GpuForward& operator=(const GpuForward&) = delete;

  // As Model::forward().
  [[nodiscard]] virtual mx::array forward(
      const mx::array& tokens, const BatchView& batch, KvPages& pages
  ) = 0;

  // hidden_rows [R, E] -> [R, V] float32, after the final norm; no soft cap.
  [[nodiscard]] virtual mx::array logits(const mx::array& hidden_rows) = 0;

  // Memory of the device itself for an array. ERRORS: engine_error when there is not as much.
  [[nodiscard]] virtual mx::allocator::Data allocate(std::size_t num_bytes) = 0;

  // RETURNS: whether pages of this type can be read and stored.
  [[nodiscard]] virtual bool supports(mx::Dtype kv_dtype) const = 0;

 protected:
  GpuForward() = default;
};

// Joins the projections that read the same rows (q, k, v; gate, up) into one matrix each, whose
// parts the layers' own arrays become. RETURNS: nullptr where this back end has no kernels for such
// a model; then nothing was changed and the plain operations serve. ERRORS: as the back end's.
[[nodiscard]] std::shared_ptr<GpuForward> make_gpu_forward(const GpuForwardParts& parts);

}  // namespace mlxs
