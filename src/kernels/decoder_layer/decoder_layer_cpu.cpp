// The phases of a layer, with the team's barrier between them. Inputs of products are quantized
// once and shared: by q, k and v, and by gate and up.
#include "kernels/decoder_layer/decoder_layer_cpu.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/decoder_layer/cpu_rows.h"
#include "kernels/linear/linear_input.h"
#include "kernels/linear/packed_linear.h"
#include "kernels/paged_attention/attention_cpu.h"
#include "kernels/rows/row_kernel.h"

namespace mlxs {
namespace {

// The pool's layer and the rotation's tables, as they are when the task runs.
struct LayerMemory {
  const float* x = nullptr;  // [T, E]
  float* out = nullptr;      // [T, E]
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  float* key_scales = nullptr;
  float* value_scales = nullptr;
  const float* cos = nullptr;  // [T, num_pairs]; nullptr: no rotation
  const float* sin = nullptr;
  int num_pairs = 0;
  int page_size = 0;
  int group = 0;
  KvType type = KvType::float32;
};

const float* weight_of(const std::optional<mx::array>& norm) {
  return norm ? norm->data<float>() : nullptr;
}

// One step of one layer.
class LayerRun {
 public:
  LayerRun(const CpuLayer& layer, const HostBatch& batch, const LayerMemory& memory)
      : layer_(layer),
        context_(*layer.context),
        kernels_(row_kernels(context_.path)),
        batch_(batch),
        memory_(memory),
        num_rows_(batch.num_rows),
        hidden_(layer.o->num_outputs),
        q_size_(layer.q->num_outputs),
        kv_size_(layer.k->num_outputs) {}

  void run() {
    context_.scratch.reset();
    float* attended = floats(hidden_);
    run_attention(attended);
    run_mlp(attended);
  }

 private:
  float* floats(std::int64_t num_columns) {
    return context_.scratch.take<float>(
        static_cast<std::size_t>(num_rows_) * static_cast<std::size_t>(num_columns)
    );
  }

  LinearInput input_for(std::initializer_list<const PackedLinear*> weights) {
    InputForms forms = 0;
    for (const PackedLinear* weight : weights)
      forms = static_cast<InputForms>(forms | static_cast<unsigned>(weight->input_form));
    return make_linear_input(context_.scratch, forms, num_rows_, (*weights.begin())->num_columns);
  }

  // The input of a product of rows that are normed first where the layer says so.
  LinearInput normed_input(
      const float* x,
      const std::optional<mx::array>& norm,
      std::initializer_list<const PackedLinear*> weights
  ) {
    LinearInput input = input_for(weights);
    const float* weight = weight_of(norm);
    float* normed = weight != nullptr ? floats(hidden_) : nullptr;
    const float* rows = weight != nullptr ? normed : x;
    for_rows(context_, num_rows_, hidden_, [&](int first, int last) {
      for (int row = first; row < last && weight != nullptr; ++row)
        norm_row(x, weight, row, normed);
      quantize_rows(context_.path, rows, first, last, input);
    });
    input.x = rows;
    return input;
  }

  void norm_row(const float* x, const float* weight, int row, float* out) const {
    const std::int64_t at = std::int64_t{row} * hidden_;
    kernels_.norm(
        {.x = x + at,
         .weight = weight,
         .out = out + at,
         .num_columns = hidden_,
         .eps = layer_.norm_eps}
    );
  }

  // out = residual + product, or residual + norm(product).
  void add_product(
      const PackedLinear& weight,
      const LinearInput& input,
      const float* residual,
      const std::optional<mx::array>& norm,
      float* out
  ) {
    LinearJob job{
        .weight = &weight, .input = &input, .out = out, .out_stride = hidden_, .addend = residual
    };
    const float* norm_weight = weight_of(norm);
    if (norm_weight == nullptr) return packed_linear(context_, {&job, 1});
    float* product = floats(hidden_);
    job.out = product;
    job.addend = nullptr;
    packed_linear(context_, {&job, 1});
    for_rows(context_, num_rows_, hidden_, [&](int first, int last) {
      for (int row = first; row < last; ++row) {
        const std::int64_t at = std::int64_t{row} * hidden_;
        kernels_.norm(
            {.x = product + at,
             .weight = norm_weight,
             .addend = residual + at,
             .out = out + at,
             .num_columns = hidden_,
             .eps = layer_.norm_eps}
        );
      }
    });
  }

  void run_attention(float* attended) {
    const LinearInput input = normed_input(
        memory_.x, layer_.pre_attention_norm, {layer_.q.get(), layer_.k.get(), layer_.v.get()}
    );
    const std::int64_t stride = q_size_ + 2 * kv_size_;
    float* qkv = floats(stride);
    const std::array jobs{
        LinearJob{.weight = layer_.q.get(), .input = &input, .out = qkv, .out_stride = stride},
        LinearJob{
            .weight = layer_.k.get(), .input = &input, .out = qkv + q_size_, .out_stride = stride
        },
        LinearJob{
            .weight = layer_.v.get(),
            .input = &input,
            .out = qkv + q_size_ + kv_size_,
            .out_stride = stride
        }
    };
    packed_linear(context_, jobs);
    store(qkv, stride);
    float* mixed = floats(q_size_);
    run_paged_attention(context_, attention_problem(qkv, stride, mixed), batch_, memory_.group);
    LinearInput mixed_input = input_for({layer_.o.get()});
    mixed_input.x = mixed;
    for_rows(context_, num_rows_, static_cast<int>(q_size_), [&](int first, int last) {
      quantize_rows(context_.path, mixed, first, last, mixed_input);
    });
    add_product(*layer_.o, mixed_input, memory_.x, layer_.post_attention_norm, attended);
  }

  void store(float* qkv, std::int64_t stride) {
    const AttentionSpec& spec = layer_.attention;
    const StoreProblem problem{
        .queries = qkv,
        .keys = qkv + q_size_,
        .values = qkv + q_size_ + kv_size_,
        .stride = stride,
        .q_norm = weight_of(layer_.q_norm),
        .k_norm = weight_of(layer_.k_norm),
        .eps = layer_.norm_eps,
        .cos = memory_.cos,
        .sin = memory_.sin,
        .num_pairs = memory_.num_pairs,
        .slots = batch_.slots[static_cast<std::size_t>(memory_.group)].data(),
        .key_pool = memory_.keys,
        .value_pool = memory_.values,
        .key_scales = memory_.key_scales,
        .value_scales = memory_.value_scales,
        .type = memory_.type,
        .num_heads = spec.num_heads,
        .num_kv_heads = spec.num_kv_heads,
        .head_dim = spec.head_dim
    };
    for_rows(context_, num_rows_, static_cast<int>(stride), [&](int first, int last) {
      kernels_.store(problem, first, last);
    });
  }

  [[nodiscard]] AttentionProblem attention_problem(
      const float* queries, std::int64_t stride, float* out
  ) const {
    const AttentionSpec& spec = layer_.attention;
    return {
        .queries = queries,
        .out = out,
        .keys = memory_.keys,
        .values = memory_.values,
        .key_scales = memory_.key_scales,
        .value_scales = memory_.value_scales,
        .query_stride = stride,
        .type = memory_.type,
        .num_heads = spec.num_heads,
        .num_kv_heads = spec.num_kv_heads,
        .head_dim = spec.head_dim,
        .page_size = memory_.page_size,
        .window = spec.window,
        .scale = spec.scale,
        .soft_cap = spec.soft_cap
    };
  }

  void run_mlp(const float* attended) {
    const LinearInput input =
        normed_input(attended, layer_.pre_mlp_norm, {layer_.gate.get(), layer_.up.get()});
    const int size = layer_.mlp.intermediate_size;
    float* gate = floats(size);
    float* up = floats(size);
    const std::array jobs{
        LinearJob{.weight = layer_.gate.get(), .input = &input, .out = gate, .out_stride = size},
        LinearJob{.weight = layer_.up.get(), .input = &input, .out = up, .out_stride = size}
    };
    packed_linear(context_, jobs);
    LinearInput gated = input_for({layer_.down.get()});
    gated.x = gate;
    for_rows(context_, num_rows_, 2 * size, [&](int first, int last) {
      for (int row = first; row < last; ++row) {
        const std::int64_t at = std::int64_t{row} * size;
        kernels_.gate(
            {.gate = gate + at,
             .up = up + at,
             .out = gate + at,
             .num_columns = size,
             .activation = layer_.mlp.activation}
        );
      }
      quantize_rows(context_.path, gate, first, last, gated);
    });
    add_product(*layer_.down, gated, attended, layer_.post_mlp_norm, memory_.out);
  }

  const CpuLayer& layer_;
  CpuContext& context_;
  const RowKernels& kernels_;
  const HostBatch& batch_;
  LayerMemory memory_;
  int num_rows_;
  int hidden_;
  std::int64_t q_size_;
  std::int64_t kv_size_;
};

KvType type_of(mx::Dtype dtype) {
  if (dtype == mx::float16) return KvType::float16;
  if (dtype == mx::bfloat16) return KvType::bfloat16;
  return dtype == mx::int8 ? KvType::int8 : KvType::float32;
}

// Inputs: x, cos and sin where has_rope, then the pool's arrays. Outputs: hidden, the pool's
// arrays.
class DecoderLayerCpu final : public mx::Primitive {
 public:
  struct Form {
    int group = 0;
    bool has_rope = false;
  };

  DecoderLayerCpu(
      mx::Stream stream,
      std::shared_ptr<const CpuLayer> layer,
      std::shared_ptr<const HostBatch> batch,
      Form form
  )
      : Primitive(stream), layer_(std::move(layer)), batch_(std::move(batch)), form_(form) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    for (const mx::array& input : inputs) {
      if (!input.flags().row_contiguous)
        throw std::invalid_argument("[decoder_layer] the arrays must be row-major");
    }
    const std::size_t first_pool = form_.has_rope ? 3 : 1;
    std::vector<std::shared_ptr<mx::array::Data>> buffers;
    outputs[0].set_data(mx::allocator::malloc(outputs[0].nbytes()));
    for (std::size_t i = 1; i < outputs.size(); ++i)
      outputs[i].copy_shared_buffer(inputs[first_pool + i - 1]);
    // MLX keeps the inputs until the task is done, but not the outputs.
    for (const mx::array& output : outputs) buffers.push_back(output.data_shared_ptr());
    mx::cpu::get_command_encoder(stream()).dispatch(
        [memory = memory_of(inputs, outputs), layer = layer_, batch = batch_, buffers] {
          LayerRun(*layer, *batch, memory).run();
        }
    );
  }

  void eval_gpu(
      const std::vector<mx::array>& /*inputs*/, std::vector<mx::array>& /*outputs*/
  ) override {
    throw std::logic_error("[decoder_layer_cpu] runs on the CPU only");
  }

  const char* name() const override { return "DecoderLayerCpu"; }

 private:
  LayerMemory memory_of(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs)
      const {
    LayerMemory memory{
        .x = inputs[0].data<float>(),
        .out = outputs[0].data<float>(),
        .keys = outputs[1].data<std::byte>(),
        .values = outputs[2].data<std::byte>(),
        .page_size = outputs[1].shape(1),
        .group = form_.group,
        .type = type_of(outputs[1].dtype())
    };
    if (form_.has_rope) {
      memory.cos = inputs[1].data<float>();
      memory.sin = inputs[2].data<float>();
      memory.num_pairs = inputs[1].shape(1);
    }
    if (outputs.size() > 3) {
      memory.key_scales = outputs[3].data<float>();
      memory.value_scales = outputs[4].data<float>();
    }
    return memory;
  }

  std::shared_ptr<const CpuLayer> layer_;
  std::shared_ptr<const HostBatch> batch_;
  Form form_;
};

std::optional<mx::array> evaluated_norm(const std::optional<mx::array>& weight) {
  if (!weight) return std::nullopt;
  mx::array result = mx::contiguous(mx::astype(*weight, mx::float32));
  result.eval();
  return result;
}

std::vector<mx::array> pool_arrays(const KvLayer& pool) {
  std::vector<mx::array> arrays{pool.keys, pool.values};
  if (pool.key_scales) arrays.push_back(*pool.key_scales);
  if (pool.value_scales) arrays.push_back(*pool.value_scales);
  return arrays;
}

}  // namespace

std::shared_ptr<const CpuLayer> make_cpu_layer(const DecoderLayer& layer) {
  const AttentionWeights& attention = layer.attention;
  const MlpWeights& mlp = layer.mlp;
  for (const Linear* weight :
       {&attention.q, &attention.k, &attention.v, &attention.o, &mlp.gate, &mlp.up, &mlp.down}) {
    if (!weight->packed) return nullptr;
  }
  return std::make_shared<const CpuLayer>(CpuLayer{
      .context = attention.q.cpu,
      .attention = layer.attention_spec,
      .mlp = layer.mlp_spec,
      .norm_eps = layer.norm_eps,
      .q = attention.q.packed,
      .k = attention.k.packed,
      .v = attention.v.packed,
      .o = attention.o.packed,
      .gate = mlp.gate.packed,
      .up = mlp.up.packed,
      .down = mlp.down.packed,
      .q_norm = evaluated_norm(attention.q_norm),
      .k_norm = evaluated_norm(attention.k_norm),
      .pre_attention_norm = evaluated_norm(attention.pre_norm),
      .post_attention_norm = evaluated_norm(attention.post_norm),
      .pre_mlp_norm = evaluated_norm(mlp.pre_norm),
      .post_mlp_norm = evaluated_norm(mlp.post_norm)
  });
}

mx::array decoder_layer_cpu(
    const mx::array& x,
    const std::shared_ptr<const CpuLayer>& layer,
    const BatchView& batch,
    const RopeTables* rope,
    KvLayer& pool
) {
  const bool fits = x.dtype() == mx::float32 && x.ndim() == 2 &&
                    x.shape(0) == batch.host->num_rows && x.shape(1) == layer->o->num_outputs;
  if (!fits) throw std::invalid_argument("[decoder_layer] needs x [T, E] float32");
  std::vector<mx::array> inputs{mx::contiguous(x)};
  if (rope != nullptr) {
    inputs.push_back(rope->cos);
    inputs.push_back(rope->sin);
  }
  std::vector<mx::Shape> shapes{x.shape()};
  std::vector<mx::Dtype> dtypes{mx::float32};
  for (const mx::array& array : pool_arrays(pool)) {
    inputs.push_back(array);
    shapes.push_back(array.shape());
    dtypes.push_back(array.dtype());
  }
  std::vector<mx::array> outputs = mx::array::make_arrays(
      std::move(shapes),
      dtypes,
      std::make_shared<DecoderLayerCpu>(
          mx::to_stream(mx::Device(mx::Device::cpu)),
          layer,
          batch.host,
          DecoderLayerCpu::Form{.group = pool.group, .has_rope = rope != nullptr}
      ),
      inputs
  );
  pool.keys = outputs[1];
  pool.values = outputs[2];
  if (pool.key_scales) pool.key_scales = outputs[3];
  if (pool.value_scales) pool.value_scales = outputs[4];
  return outputs[0];
}

}  // namespace mlxs
