// The forward pass as a walk over the layers' descriptions.
#include "model/model.h"

#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>
#include <mlx/utils.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/embedding/embedding.h"
#include "kernels/rms_norm/rms_norm.h"
#include "mlx_serving/error.h"
#include "model/tensor_loader.h"

namespace mlxs {
mx::Dtype activation_dtype(const Checkpoint& checkpoint, const ModelSpec& spec, mx::Device device) {
  if (device == mx::Device::cpu) return mx::float32;
  const std::string& module = spec.embedding_name;
  const auto layout = checkpoint.quantization_of(module);
  const TensorInfo& tensor = checkpoint.at(module + (layout ? ".scales" : ".weight"));
  return is_gguf_block(tensor.type) ? mx::float16 : float_dtype(tensor.type);
}

namespace {

// Not filled, as attention reads no slot before it was stored: memory that is not touched costs
// nothing on the CPU.
mx::array make_pool(const mx::Shape& shape, mx::Dtype dtype) {
  std::size_t num_bytes = mx::size_of(dtype);
  for (const int extent : shape) num_bytes *= static_cast<std::size_t>(extent);
  mx::allocator::Data data = mx::allocator::malloc(num_bytes);
  if (data.buffer().ptr() == nullptr) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "[model] {} bytes of KV memory could not be allocated; lower kv_memory", num_bytes
        )
    );
  }
  return mx::array(std::move(data), shape, dtype);
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
  return {std::move(spec), std::move(weights), options.device, dtype};
}

Model Model::random(ModelSpec spec, const RandomWeights& weights, const ModelOptions& options) {
  const mx::StreamContext on_device(options.device);
  RandomSource source(weights);
  ModelWeights drawn = read_weights(source, spec, make_cpu_context(options));
  return {std::move(spec), std::move(drawn), options.device, weights.activations};
}

Model::Model(ModelSpec spec, ModelWeights weights, mx::Device device, mx::Dtype dtype)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      device_(device),
      dtype_(dtype),
      weight_bytes_(mlxs::weight_bytes(weights_)) {}

mx::array Model::forward(
    const mx::array& tokens, const mx::array& positions, const BatchView& batch, KvPages& pages
) const {
  const mx::StreamContext on_device(device_);
  std::vector<RopeTables> tables;
  tables.reserve(spec_.ropes.size());
  for (const RopeSpec& rope : spec_.ropes)
    tables.push_back(rope_tables(positions, batch.long_rope_rows, rope));

  mx::array hidden = embedding(tokens, weights_.embedding, dtype_);
  if (spec_.embedding_scale != 1.0F) hidden = hidden * mx::array(spec_.embedding_scale, dtype_);
  for (std::size_t index = 0; index < weights_.layers.size(); ++index) {
    const DecoderLayer& layer = weights_.layers[index];
    const int rope = layer.attention_spec.rope;
    KvLayer pool{.keys = pages.keys[index], .values = pages.values[index]};
    hidden = decoder_layer(
        hidden, layer, batch, rope < 0 ? nullptr : &tables[static_cast<std::size_t>(rope)], pool
    );
    pages.keys[index] = std::move(pool.keys);
    pages.values[index] = std::move(pool.values);
  }
  return hidden;
}

mx::array Model::logits(const mx::array& hidden_rows) const {
  const mx::StreamContext on_device(device_);
  const mx::array normed = rms_norm(hidden_rows, weights_.final_norm, spec_.norm_eps);
  const mx::array scores = mx::astype(
      linear(normed, weights_.output ? *weights_.output : weights_.embedding), mx::float32
  );
  if (spec_.logit_soft_cap <= 0.0F) return scores;
  const mx::array cap(spec_.logit_soft_cap);
  return cap * mx::tanh(scores / cap);
}

KvPages Model::make_kv_pages(int num_pages, int page_size) const {
  const mx::StreamContext on_device(device_);
  const bool can_be_indexed =
      num_pages > 0 && page_size > 0 &&
      std::int64_t{num_pages} * page_size <= std::numeric_limits<std::int32_t>::max();
  if (!can_be_indexed) {
    throw Error(
        ErrorCode::invalid_config,
        fmt::format(
            "[model] a KV pool of {} pages of {} tokens; both must be positive, and fewer than "
            "2^31 tokens in all",
            num_pages,
            page_size
        )
    );
  }
  KvPages pages{.keys = {}, .values = {}, .page_size = page_size};
  for (const LayerSpec& layer : spec_.layers) {
    const mx::Shape shape{
        num_pages, page_size, layer.attention.num_kv_heads, layer.attention.head_dim
    };
    pages.keys.push_back(make_pool(shape, dtype_));
    pages.values.push_back(make_pool(shape, dtype_));
  }
  return pages;
}

bool Model::uses_long_rope(int total_length) const {
  return std::ranges::any_of(spec_.ropes, [total_length](const RopeSpec& rope) {
    return !rope.inv_freq_long.empty() && total_length > rope.original_context;
  });
}

std::int64_t Model::kv_bytes_per_token() const {
  std::int64_t total = 0;
  for (const LayerSpec& layer : spec_.layers) {
    total += std::int64_t{2} * layer.attention.num_kv_heads * layer.attention.head_dim *
             static_cast<std::int64_t>(mx::size_of(dtype_));
  }
  return total;
}

}  // namespace mlxs
