// A loaded model: tokens in, hidden states and logits out. KV pages are passed in; it keeps no
// state between calls, knows no requests and evaluates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/batch_view.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/gpu_forward.h"
#include "kernels/kv_pages.h"
#include "kernels/kv_type.h"
#include "kernels/mx.h"
#include "mlx_serving/config.h"
#include "model/checkpoint/checkpoint.h"
#include "model/layer_groups.h"
#include "model/model_spec.h"
#include "model/random_weights.h"
#include "model/weights.h"

namespace mlxs {

enum class LayerPath : std::uint8_t {
  fused,  // a primitive a layer, where there is one
  plain   // the references, one operation after another
};

struct ModelOptions {
  mx::Device device = mx::Device::cpu;
  int num_threads = 0;  // of the CPU's kernels; 0: as many processors as this process may use
  Precision precision = Precision::exact;  // of the CPU's products
  LoadProgress progress = {};
  LayerPath layers = LayerPath::fused;
};

struct KvPoolOptions {
  std::vector<int> num_pages;       // one number for each of Model::layer_groups()
  int page_size = 32;               // tokens
  std::optional<KvType> type = {};  // not set: as the activations are
};

// RETURNS: what the model computes in: float32 on the CPU, where MLX emulates the half types; on a
// GPU what the embedding, or its scales, are stored in.
[[nodiscard]] mx::Dtype activation_dtype(
    const Checkpoint& checkpoint, const ModelSpec& spec, mx::Device device
);

// THREADS: all calls from the thread that does all MLX work: MLX's streams belong to threads.
class Model {
 public:
  // On the CPU the model computes in float32, on a GPU in the type of its weights (float16 for
  // GGUF). ERRORS: as load_weights().
  [[nodiscard]] static Model load(
      const Checkpoint& checkpoint, ModelSpec spec, const ModelOptions& options
  );

  // A model of this shape whose weights are drawn at random; options.progress is not called.
  [[nodiscard]] static Model random(
      ModelSpec spec, const RandomWeights& weights, const ModelOptions& options
  );

  // tokens [T] int32, positions [T] int32 -> hidden [T, E] before the final norm, in dtype(). The
  // keys and values of the rows are stored in `pages`, whose arrays are replaced by their
  // successors; the older ones share their buffers. REQUIRES: tokens in [0, V); `batch` made for
  // these pages, T rows in all; positions as batch_positions() has them.
  [[nodiscard]] mx::array forward(
      const mx::array& tokens, const mx::array& positions, const BatchView& batch, KvPages& pages
  ) const;

  // hidden_rows [R, E], any rows of forward()'s result -> logits [R, V] float32.
  [[nodiscard]] mx::array logits(const mx::array& hidden_rows) const;

  // hidden_rows [R, E], as above -> [R, E] after the final norm, what logits() are made of.
  [[nodiscard]] mx::array final_hidden(const mx::array& hidden_rows) const;

  // A pool without content, allocated at once. ERRORS: invalid_config when a size is not positive,
  // or the pool cannot be indexed or allocated, or there is not a number of pages for each group.
  [[nodiscard]] KvPages make_kv_pages(const KvPoolOptions& options) const;

  // RETURNS: whether a sequence that will have this many tokens takes longrope's long frequencies
  // from its first token on.
  [[nodiscard]] bool uses_long_rope(int total_length) const;

  [[nodiscard]] const ModelSpec& spec() const { return spec_; }
  [[nodiscard]] mx::Device device() const { return device_; }
  [[nodiscard]] mx::Dtype dtype() const { return dtype_; }  // of activations
  [[nodiscard]] std::int64_t weight_bytes() const { return weight_bytes_; }

  // RETURNS: what the CPU's kernels share, null on a GPU; for the sampling of this model's logits.
  [[nodiscard]] const std::shared_ptr<CpuContext>& cpu_context() const {
    return weights_.embedding.cpu;
  }

  // Who shares page tables; the index of a group is KvLayer::group. For keys and values of the
  // activations' type unless another is asked for.
  [[nodiscard]] std::vector<LayerGroup> layer_groups(std::optional<KvType> type = {}) const;

 private:
  Model(ModelSpec spec, ModelWeights weights, const ModelOptions& options, mx::Dtype dtype);

  void prepare_gpu();
  [[nodiscard]] mx::array capped(const mx::array& scores) const;

  // Whether the pages are of a kind that gpu_ reads.
  [[nodiscard]] bool runs_on_gpu(const KvPages& pages) const;
  [[nodiscard]] mx::array make_pool(const mx::Shape& shape, mx::Dtype dtype) const;
  [[nodiscard]] KvLayer make_layer(const mx::Shape& shape, KvType type, int group) const;

  ModelSpec spec_;
  ModelWeights weights_;
  mx::Device device_;
  mx::Dtype dtype_;
  LayerPath layers_;
  std::int64_t weight_bytes_ = 0;
  std::shared_ptr<GpuForward> gpu_;  // shared with its steps in flight; null: plain operations
};

}  // namespace mlxs
