// From a ModelSpec's names to arrays; reading itself is TensorLoader's.
#include "model/weights.h"

#include <mlx/memory.h>

#include <string>
#include <utility>

#include "kernels/linear/linear_cpu.h"
#include "model/tensor_loader.h"

namespace mlxs {
namespace {

class WeightReader {
 public:
  WeightReader(WeightSource& source, const ModelSpec& spec, const std::shared_ptr<CpuContext>& cpu)
      : source_(source), spec_(spec), cpu_(cpu) {}

  ModelWeights read() {
    ModelWeights weights{
        .embedding =
            whole(spec_.embedding_name, spec_.vocab_size, spec_.hidden_size, /*has_bias=*/false),
        .output = {},
        .final_norm = source_.norm_weight(spec_.final_norm_name, spec_.hidden_size, norm_addend()),
        .layers = {}
    };
    weights.layers.reserve(spec_.layers.size());
    for (const LayerSpec& layer : spec_.layers) weights.layers.push_back(read_layer(layer));
    if (!spec_.tied_embeddings) {
      weights.output =
          whole(spec_.output_name, spec_.vocab_size, spec_.hidden_size, /*has_bias=*/false);
    }
    return weights;
  }

 private:
  [[nodiscard]] float norm_addend() const { return spec_.norm_weight_plus_one ? 1.0F : 0.0F; }

  Linear matrix(const MatrixRequest& request) {
    Linear result = source_.matrix(request);
    return cpu_ ? packed_on(cpu_, std::move(result)) : result;
  }

  Linear whole(
      const std::string& module, std::int64_t num_rows, std::int64_t num_columns, bool has_bias
  ) {
    return matrix(
        {.module = module,
         .total_rows = num_rows,
         .num_columns = num_columns,
         .num_rows = num_rows,
         .has_bias = has_bias}
    );
  }

  // The parts of a fused projection, by their numbers of rows.
  std::vector<Linear> split(
      const std::string& module,
      const std::vector<std::int64_t>& parts,
      std::int64_t num_columns,
      bool has_bias
  ) {
    MatrixRequest request{.module = module, .num_columns = num_columns, .has_bias = has_bias};
    for (const std::int64_t num_rows : parts) request.total_rows += num_rows;
    std::vector<Linear> result;
    for (const std::int64_t num_rows : parts) {
      request.num_rows = num_rows;
      result.push_back(matrix(request));
      request.first_row += num_rows;
    }
    return result;
  }

  std::optional<mx::array> norm(const std::string& name, std::int64_t num_values) {
    if (name.empty()) return std::nullopt;
    return source_.norm_weight(name, num_values, norm_addend());
  }

  AttentionWeights read_attention(const LayerSpec& layer) {
    const AttentionSpec& spec = layer.attention;
    const LayerNames& names = layer.names;
    const std::int64_t hidden = spec_.hidden_size;
    const std::int64_t q_rows = std::int64_t{spec.num_heads} * spec.head_dim;
    const std::int64_t kv_rows = std::int64_t{spec.num_kv_heads} * spec.head_dim;
    std::vector<Linear> qkv;
    if (!names.qkv.empty()) {
      qkv = split(names.qkv, {q_rows, kv_rows, kv_rows}, hidden, spec.has_qkv_bias);
    } else {
      qkv.push_back(whole(names.q, q_rows, hidden, spec.has_qkv_bias));
      qkv.push_back(whole(names.k, kv_rows, hidden, spec.has_qkv_bias));
      qkv.push_back(whole(names.v, kv_rows, hidden, spec.has_qkv_bias));
    }
    return AttentionWeights{
        .q = std::move(qkv[0]),
        .k = std::move(qkv[1]),
        .v = std::move(qkv[2]),
        .o = whole(names.o, hidden, q_rows, spec.has_output_bias),
        .q_norm = spec.has_qk_norm ? norm(names.q_norm, spec.head_dim) : std::nullopt,
        .k_norm = spec.has_qk_norm ? norm(names.k_norm, spec.head_dim) : std::nullopt,
        .pre_norm = norm(names.pre_attention_norm, hidden),
        .post_norm = norm(names.post_attention_norm, hidden)
    };
  }

  MlpWeights read_mlp(const LayerSpec& layer) {
    const MlpSpec& spec = layer.mlp;
    const LayerNames& names = layer.names;
    const std::int64_t hidden = spec_.hidden_size;
    std::vector<Linear> gate_up;
    if (!names.gate_up.empty()) {
      gate_up = split(
          names.gate_up, {spec.intermediate_size, spec.intermediate_size}, hidden, spec.has_bias
      );
    } else {
      gate_up.push_back(whole(names.gate, spec.intermediate_size, hidden, spec.has_bias));
      gate_up.push_back(whole(names.up, spec.intermediate_size, hidden, spec.has_bias));
    }
    return MlpWeights{
        .gate = std::move(gate_up[0]),
        .up = std::move(gate_up[1]),
        .down = whole(names.down, hidden, spec.intermediate_size, spec.has_bias),
        .pre_norm = norm(names.pre_mlp_norm, hidden),
        .post_norm = norm(names.post_mlp_norm, hidden)
    };
  }

  DecoderLayer read_layer(const LayerSpec& layer) {
    return DecoderLayer{
        .attention_spec = layer.attention,
        .mlp_spec = layer.mlp,
        .norm_eps = spec_.norm_eps,
        .attention = read_attention(layer),
        .mlp = read_mlp(layer)
    };
  }

  WeightSource& source_;
  const ModelSpec& spec_;
  const std::shared_ptr<CpuContext>& cpu_;
};

std::int64_t array_bytes(const std::optional<mx::array>& x) {
  return x ? static_cast<std::int64_t>(x->nbytes()) : 0;
}

std::int64_t linear_bytes(const Linear& layer) {
  if (layer.packed) return layer.packed->num_bytes();
  return array_bytes(layer.weight) + array_bytes(layer.scales) + array_bytes(layer.biases) +
         array_bytes(layer.bias);
}

std::int64_t layer_bytes(const DecoderLayer& layer) {
  const AttentionWeights& attention = layer.attention;
  const MlpWeights& mlp = layer.mlp;
  return linear_bytes(attention.q) + linear_bytes(attention.k) + linear_bytes(attention.v) +
         linear_bytes(attention.o) + array_bytes(attention.q_norm) + array_bytes(attention.k_norm) +
         array_bytes(attention.pre_norm) + array_bytes(attention.post_norm) +
         linear_bytes(mlp.gate) + linear_bytes(mlp.up) + linear_bytes(mlp.down) +
         array_bytes(mlp.pre_norm) + array_bytes(mlp.post_norm);
}

}  // namespace

ModelWeights read_weights(
    WeightSource& source, const ModelSpec& spec, const std::shared_ptr<CpuContext>& cpu
) {
  ModelWeights weights = WeightReader(source, spec, cpu).read();
  mx::clear_cache();  // of what conversions left behind
  return weights;
}

ModelWeights load_weights(
    const Checkpoint& checkpoint, const ModelSpec& spec, const WeightOptions& options
) {
  TensorLoader loader(checkpoint, options.activations, options.progress);
  ModelWeights weights = read_weights(loader, spec, options.cpu);
  if (options.progress) {
    // Tensors that the model does not use are not read, but the bar must reach its end.
    const auto total = static_cast<std::int64_t>(checkpoint.total_tensor_bytes());
    options.progress(total, total);
  }
  return weights;
}

std::int64_t weight_bytes(const ModelWeights& weights) {
  std::int64_t total = linear_bytes(weights.embedding) + array_bytes(weights.final_norm);
  if (weights.output) total += linear_bytes(*weights.output);
  for (const DecoderLayer& layer : weights.layers) total += layer_bytes(layer);
  return total;
}

}  // namespace mlxs
