// The forward pass as a walk over the layers' descriptions.
#include "model/model.h"

#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>
#include <mlx/utils.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/batch_view.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/decoder_layer/decoder_layer.h"
#include "kernels/decoder_layer/decoder_layer_cpu.h"
#include "kernels/decoder_layer/output_head.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gpu_forward.h"
#include "kernels/kv_pages.h"
#include "kernels/kv_type.h"
#include "kernels/layer_spec.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/tensor_info.h"
#include "model/layer_groups.h"
#include "model/model_spec.h"
#include "model/random_weights.h"
#include "model/tensor_loader.h"
#include "model/weights.h"

namespace mlxs {
mx::Dtype activation_dtype(const Checkpoint& checkpoint, const ModelSpec& spec, mx::Device device) {
  if (device == mx::Device::cpu) return mx::float32;
  const std::string& module = spec.embedding_name;
  const auto layout = checkpoint.quantization_of(module);
  const TensorInfo& tensor = checkpoint.at(module + (layout ? ".scales" : ".weight"));
  return is_gguf_block(tensor.type) ? mx::float16 : float_dtype(tensor.type);
}

namespace {

KvType kv_type_of(mx::Dtype dtype) {
  if (dtype == mx::float16) return KvType::float16;
  return dtype == mx::bfloat16 ? KvType::bfloat16 : KvType::float32;
}

void check_pool_options(const KvPoolOptions& options, std::size_t num_groups) {
  bool can_be_indexed = options.page_size > 0 && options.num_pages.size() == num_groups;
  for (const int num_pages : options.num_pages) {
    can_be_indexed =
        can_be_indexed && num_pages > 0 &&
        std::int64_t{num_pages} * options.page_size <= std::numeric_limits<std::int32_t>::max();
  }
  if (can_be_indexed) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format(
          "[model] a KV pool of {} pages of {} tokens for {} groups of layers; a number for each "
          "is needed, all positive, and fewer than 2^31 tokens in all",
          fmt::join(options.num_pages, ", "),
          options.page_size,
          num_groups
      )
  );
}

std::shared_ptr<CpuContext> make_cpu_context(const ModelOptions& options) {
  if (options.device != mx::Device::cpu) return nullptr;
  return std::make_shared<CpuContext>(
      CpuOptions{.num_threads = options.num_threads, .precision = options.precision}
  );
}

}  // namespace

Model Model::load(const Checkpoint& checkpoint, ModelSpec spec, const ModelOptions& options) {
  const mx::StreamContext on_device(options.device);
  const mx::Dtype dtype = activation_dtype(checkpoint, spec, options.device);
  ModelWeights weights = load_weights(
      checkpoint,
      spec,
      {.activations = dtype, .cpu = make_cpu_context(options), .progress = options.progress}
  );
  return {std::move(spec), std::move(weights), options, dtype};
}

Model Model::random(ModelSpec spec, const RandomWeights& weights, const ModelOptions& options) {
  const mx::StreamContext on_device(options.device);
  RandomSource source(weights);
  ModelWeights drawn = read_weights(source, spec, make_cpu_context(options));
  return {std::move(spec), std::move(drawn), options, weights.activations};
}

Model::Model(ModelSpec spec, ModelWeights weights, const ModelOptions& options, mx::Dtype dtype)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      device_(options.device),
      dtype_(dtype),
      layers_(options.layers),
      weight_bytes_(mlxs::weight_bytes(weights_)) {
  if (layers_ == LayerPath::plain) return;
  if (device_ != mx::Device::cpu) {
    prepare_gpu();
    return;
  }
  if (dtype_ != mx::float32) return;
  for (DecoderLayer& layer : weights_.layers) layer.cpu = make_cpu_layer(layer);
}

void Model::prepare_gpu() {
  const mx::StreamContext on_device(device_);
  gpu_ = make_gpu_forward(
      {.embedding = weights_.embedding,
       .output = weights_.output,
       .final_norm = weights_.final_norm,
       .layers = weights_.layers,
       .ropes = spec_.ropes,
       .norm_eps = spec_.norm_eps,
       .embedding_scale = spec_.embedding_scale,
       .dtype = dtype_}
  );
}

bool Model::runs_on_gpu(const KvPages& pages) const {
  return gpu_ && std::ranges::all_of(pages.layers, [this](const KvLayer& layer) {
           return gpu_->supports(layer.keys.dtype());
         });
}

mx::array Model::forward(
    const mx::array& tokens, const mx::array& positions, const BatchView& batch, KvPages& pages
) const {
  const mx::StreamContext on_device(device_);
  if (runs_on_gpu(pages)) return gpu_->forward(tokens, batch, pages);
  std::vector<RopeTables> tables;
  tables.reserve(spec_.ropes.size());
  for (const RopeSpec& rope : spec_.ropes)
    tables.push_back(rope_tables(positions, batch.long_rope_rows, rope));

  mx::array hidden = embedding(tokens, weights_.embedding, dtype_);
  if (spec_.embedding_scale != 1.0F) hidden = hidden * mx::array(spec_.embedding_scale, dtype_);
  for (std::size_t index = 0; index < weights_.layers.size(); ++index) {
    const DecoderLayer& layer = weights_.layers[index];
    const int rope = layer.attention_spec.rope;
    hidden = decoder_layer(
        hidden,
        layer,
        {.batch = batch, .rope = rope < 0 ? nullptr : &tables[static_cast<std::size_t>(rope)]},
        pages.layers[index]
    );
  }
  return hidden;
}

mx::array Model::capped(const mx::array& scores) const {
  if (spec_.logit_soft_cap <= 0.0F) return scores;
  const mx::array cap(spec_.logit_soft_cap);
  return cap * mx::tanh(scores / cap);
}

mx::array Model::logits(const mx::array& hidden_rows) const {
  const mx::StreamContext on_device(device_);
  if (gpu_) return capped(gpu_->logits(hidden_rows));
  const OutputHead head{
      .norm = weights_.final_norm,
      .output = weights_.output ? *weights_.output : weights_.embedding,
      .norm_eps = spec_.norm_eps,
      .soft_cap = spec_.logit_soft_cap
  };
  return layers_ == LayerPath::plain ? output_head_reference(hidden_rows, head)
                                     : output_head(hidden_rows, head);
}

mx::array Model::final_hidden(const mx::array& hidden_rows) const {
  const mx::StreamContext on_device(device_);
  return rms_norm(hidden_rows, weights_.final_norm, spec_.norm_eps);
}

// Not filled, as attention reads no slot before it was stored.
mx::array Model::make_pool(const mx::Shape& shape, mx::Dtype dtype) const {
  const auto refuse = [&shape]() -> Error {
    return {
        ErrorCode::invalid_config,
        fmt::format(
            "[model] a KV array of {} pages could not be allocated; lower kv_memory", shape[0]
        )
    };
  };
  if (gpu_) {
    std::size_t num_bytes = mx::size_of(dtype);
    for (const int extent : shape) num_bytes *= static_cast<std::size_t>(extent);
    mx::allocator::Data data = gpu_->allocate(num_bytes);
    if (data.buffer().ptr() == nullptr) throw refuse();
    return mx::array(std::move(data), shape, dtype);
  }
  try {
    return make_kv_array(shape, dtype);
  } catch (const std::bad_alloc&) {
    throw refuse();
  }
}

KvLayer Model::make_layer(const mx::Shape& shape, KvType type, int group) const {
  const mx::Dtype dtype = kv_dtype(type);
  KvLayer layer{.keys = make_pool(shape, dtype), .values = make_pool(shape, dtype), .group = group};
  if (type == KvType::int8) {
    const mx::Shape scale_shape{shape[0], shape[1], shape[2], 1};
    layer.key_scales = make_pool(scale_shape, mx::float32);
    layer.value_scales = make_pool(scale_shape, mx::float32);
  }
  return layer;
}

KvPages Model::make_kv_pages(const KvPoolOptions& options) const {
  const mx::StreamContext on_device(device_);
  const std::vector<LayerGroup> groups = layer_groups(options.type);
  check_pool_options(options, groups.size());
  const KvType type = options.type.value_or(kv_type_of(dtype_));
  KvPages pages{.shape = {.page_size = options.page_size, .groups = {}}, .layers = {}};
  std::vector<int> group_of(spec_.layers.size());
  for (std::size_t group = 0; group < groups.size(); ++group) {
    pages.shape.groups.push_back(
        {.num_pages = options.num_pages[group], .window = groups[group].window}
    );
    for (const int layer : groups[group].layers)
      group_of[static_cast<std::size_t>(layer)] = static_cast<int>(group);
  }
  for (std::size_t index = 0; index < spec_.layers.size(); ++index) {
    const AttentionSpec& attention = spec_.layers[index].attention;
    const int group = group_of[index];
    const mx::Shape shape{
        options.num_pages[static_cast<std::size_t>(group)],
        options.page_size,
        attention.num_kv_heads,
        attention.head_dim
    };
    pages.layers.push_back(make_layer(shape, type, group));
  }
  return pages;
}

bool Model::uses_long_rope(int total_length) const {
  return std::ranges::any_of(spec_.ropes, [total_length](const RopeSpec& rope) {
    return !rope.inv_freq_long.empty() && total_length > rope.original_context;
  });
}

std::vector<LayerGroup> Model::layer_groups(std::optional<KvType> type) const {
  return mlxs::layer_groups(spec_, type.value_or(kv_type_of(dtype_)));
}

}  // namespace mlxs
