// The phases of a layer, with the team's barrier between them. Inputs of products are quantized
// once and shared: by q, k and v, and by gate and up.
#include "kernels/decoder_layer/layer_run.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "kernels/batch_view.h"
#include "kernels/cpu/phase_times.h"
#include "kernels/decoder_layer/cpu_rows.h"
#include "kernels/decoder_layer/decoder_layer_cpu.h"
#include "kernels/layer_spec.h"
#include "kernels/linear/linear_input.h"
#include "kernels/linear/packed_linear.h"
#include "kernels/paged_attention/attention_cpu.h"
#include "kernels/paged_attention/attention_kernel.h"
#include "kernels/rows/row_kernel.h"

namespace mlxs {
namespace {

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
        clock_(context_.times),
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

  struct Residual {
    const float* rows;                     // [T, E], added to the product
    const std::optional<mx::array>& norm;  // of the product, before it is added
  };

  void add_product(
      const PackedLinear& weight, const LinearInput& input, const Residual& residual, float* out
  ) {
    LinearJob job{
        .weight = &weight,
        .input = &input,
        .out = out,
        .out_stride = hidden_,
        .addend = residual.rows
    };
    const float* norm_weight = weight_of(residual.norm);
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
             .addend = residual.rows + at,
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
    clock_.done(LayerPhase::qkv);
    store(qkv, stride);
    clock_.done(LayerPhase::store);
    float* mixed = floats(q_size_);
    run_paged_attention(context_, attention_problem(qkv, stride, mixed), batch_, memory_.group);
    clock_.done(LayerPhase::attention);
    LinearInput mixed_input = input_for({layer_.o.get()});
    mixed_input.x = mixed;
    for_rows(context_, num_rows_, static_cast<int>(q_size_), [&](int first, int last) {
      quantize_rows(context_.path, mixed, first, last, mixed_input);
    });
    add_product(*layer_.o, mixed_input, {memory_.x, layer_.post_attention_norm}, attended);
    clock_.done(LayerPhase::output);
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
        .page_size = memory_.page_size,
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
    clock_.done(LayerPhase::gate_up);
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
    clock_.done(LayerPhase::gate);
    add_product(*layer_.down, gated, {attended, layer_.post_mlp_norm}, memory_.out);
    clock_.done(LayerPhase::down);
  }

  const CpuLayer& layer_;
  CpuContext& context_;
  const RowKernels& kernels_;
  const HostBatch& batch_;
  LayerMemory memory_;
  int num_rows_;
  PhaseClock clock_;
  int hidden_;
  std::int64_t q_size_;
  std::int64_t kv_size_;
};

}  // namespace

void run_layer(const CpuLayer& layer, const HostBatch& batch, const LayerMemory& memory) {
  LayerRun(layer, batch, memory).run();
}

}  // namespace mlxs
