// Seven launches a layer for few rows: norm, qkv, attention with norm, rotation and store, o with
// the residual, norm, gate and up with the activation, down with the residual.
#include "kernels/cuda/decoder.h"

#include <algorithm>
#include <string>
#include <utility>

namespace mlxs::cuda {
namespace {

constexpr int kMaxHeadsAtOnce = 8;

int ceil_div(int value, int divisor) { return (value + divisor - 1) / divisor; }

int heads_at_once(const AttentionSpec& spec) {
  const int group = spec.num_heads / spec.num_kv_heads;
  return ceil_div(group, ceil_div(group, kMaxHeadsAtOnce));
}

int num_splits(const Context& context, int num_items, int num_blocks_an_item) {
  const int wanted = 2 * context.num_processors();
  return std::clamp(wanted / std::max(1, num_items * num_blocks_an_item), 1, kMaxSplits);
}

bool has_quantized(const DecoderParts& parts) {
  return parts.output.bits != 16 ||
         std::ranges::any_of(parts.layers, [](const LayerWeights& layer) {
           return layer.qkv.bits != 16 || layer.o.bits != 16 || layer.gate_up.bits != 16 ||
                  layer.down.bits != 16;
         });
}

int activation_code(Activation activation) { return activation == Activation::silu ? 0 : 1; }

DeviceBuffer upload(const Context& context, const std::vector<float>& values) {
  DeviceBuffer buffer = context.allocate(values.size() * sizeof(float));
  const Driver& driver = context.driver();
  driver.check(
      driver.copy_to_device(
          buffer.address(), values.data(), values.size() * sizeof(float), nullptr
      ),
      "copying frequencies"
  );
  driver.check(driver.stream_synchronize(nullptr), "copying frequencies");
  return buffer;
}

}  // namespace

struct Decoder::Pass {
  const StepPlan& plan;
  const int* integers;
  const std::vector<PoolView>& pools;
  const Workspace& workspace;
  CUstream stream;
  int num_rows;
};

Decoder::Decoder(std::shared_ptr<Context> context, DecoderParts parts)
    : context_(std::move(context)),
      parts_(std::move(parts)),
      products_(context_, parts_.is_float16, has_quantized(parts_)) {
  for (const RopeSpec& rope : parts_.ropes) {
    frequencies_.push_back(upload(*context_, rope.inv_freq));
    long_frequencies_.push_back(
        rope.inv_freq_long.empty() ? DeviceBuffer() : upload(*context_, rope.inv_freq_long)
    );
  }
}

std::vector<std::pair<std::string, int>> Decoder::half_define() const {
  return {{"MLXS_HALF", parts_.is_float16 ? 1 : 0}};
}

ProgramRequest Decoder::attention_program(
    const char* name, const AttentionSpec& spec, const PoolView& pool
) const {
  ProgramRequest request{.name = name, .defines = half_define()};
  request.defines.emplace_back("MLXS_HEAD_DIM", spec.head_dim);
  request.defines.emplace_back("MLXS_HEADS", heads_at_once(spec));
  request.defines.emplace_back("MLXS_KV_INT8", pool.is_int8 ? 1 : 0);
  return request;
}

CUfunction Decoder::row_kernel(const char* name) {
  return context_->programs().function({.name = "rows", .defines = half_define()}, name);
}

void Decoder::linear(
    const Pass& pass, const Matrix& matrix, const void* x, void* out, Finish finish
) {
  products_.enqueue(
      {.matrix = matrix, .x = x, .out = out, .num_rows = pass.num_rows, .finish = finish},
      pass.workspace.products,
      pass.stream
  );
}

void Decoder::norm(const Pass& pass, const NormParams& params) {
  context_->launch(row_kernel("norm_rows"), {.grid_x = pass.num_rows}, params, pass.stream);
}

void Decoder::rope_tables(const Pass& pass) {
  const PlanLayout& layout = pass.plan.layout;
  for (std::size_t i = 0; i < parts_.ropes.size(); ++i) {
    const RopeTableParams params{
        .positions = pass.integers + layout.positions(),
        .long_rows = pass.integers + layout.long_rows(),
        .inv_freq = frequencies_[i].as<float>(),
        .inv_freq_long = long_frequencies_[i].as<float>(),
        .cos = pass.workspace.cosines[i].as<float>(),
        .sin = pass.workspace.sines[i].as<float>(),
        .num_frequencies = static_cast<int>(parts_.ropes[i].inv_freq.size()),
        .factor = parts_.ropes[i].attention_factor
    };
    context_->launch(
        row_kernel("rope_table"), {.grid_x = pass.num_rows, .num_threads = 128}, params, pass.stream
    );
  }
}

void Decoder::attention(const Pass& pass, std::size_t index) {
  const LayerWeights& layer = parts_.layers[index];
  const AttentionSpec& spec = layer.attention;
  const PoolView& pool = pass.pools[index];
  const PlanLayout& layout = pass.plan.layout;
  const bool has_rope = spec.rope >= 0;
  const auto rope = static_cast<std::size_t>(std::max(spec.rope, 0));
  AttentionParams params{};
  params.qkv = pass.workspace.qkv.as<void>();
  params.keys = pool.keys;
  params.values = pool.values;
  params.key_scales = pool.key_scales;
  params.value_scales = pool.value_scales;
  params.cos = has_rope ? pass.workspace.cosines[rope].as<float>() : nullptr;
  params.sin = has_rope ? pass.workspace.sines[rope].as<float>() : nullptr;
  params.q_norm = address_of(layer.q_norm);
  params.k_norm = address_of(layer.k_norm);
  params.out = pass.workspace.mixed.as<void>();
  params.positions = pass.integers + layout.positions();
  params.page_tables = pass.integers + layout.tables(pool.group);
  params.page_stride = pass.integers + layout.stride();
  params.partials = pass.workspace.partials.as<float>();
  params.arrivals = pass.workspace.arrivals.as<unsigned int>();
  params.num_heads = spec.num_heads;
  params.num_kv_heads = spec.num_kv_heads;
  params.page_size = pool.page_size;
  params.num_frequencies = has_rope ? static_cast<int>(parts_.ropes[rope].inv_freq.size()) : 0;
  params.window = spec.window;
  params.soft_cap = spec.soft_cap;
  params.scale = spec.scale;
  params.norm_eps = layer.norm_eps;
  Programs& programs = context_->programs();
  if (pass.plan.num_stored > 0) {
    const ProgramRequest program = attention_program("prefill_attention", spec, pool);
    const int num_heads = spec.num_heads + 2 * spec.num_kv_heads;
    params.items = pass.integers + layout.store_items();
    context_->launch(
        programs.function(program, "store_rows"),
        {.grid_x = pass.plan.num_stored, .grid_y = ceil_div(num_heads, 4), .num_threads = 128},
        params,
        pass.stream
    );
    params.items = pass.integers + layout.tiles();
    context_->launch(
        programs.function(program, "prefill_attention"),
        {.grid_x = pass.plan.num_tiles, .grid_y = spec.num_heads, .num_threads = 128},
        params,
        pass.stream
    );
  }
  if (pass.plan.num_decode > 0) {
    const int group = spec.num_heads / spec.num_kv_heads;
    const int num_chunks = ceil_div(group, heads_at_once(spec));
    params.items = pass.integers + layout.decode_items();
    params.num_splits = num_splits(*context_, pass.plan.num_decode, spec.num_kv_heads);
    context_->launch(
        programs.function(attention_program("decode_attention", spec, pool), "decode_attention"),
        {.grid_x = params.num_splits,
         .grid_y = spec.num_kv_heads * num_chunks,
         .grid_z = pass.plan.num_decode,
         .num_threads = 128},
        params,
        pass.stream
    );
  }
}

// pending_norm: the weight of a norm of what `projected` has, which is still to be added; or null.
void Decoder::layer(const Pass& pass, std::size_t index, const void*& pending_norm) {
  const LayerWeights& layer = parts_.layers[index];
  const Workspace& workspace = pass.workspace;
  NormParams norm_params{
      .x = workspace.hidden.as<void>(),
      .y = pending_norm != nullptr ? workspace.projected.as<void>() : nullptr,
      .post_weight = pending_norm,
      .pre_weight = address_of(layer.pre_attention),
      .out = workspace.normed.as<void>(),
      .num_columns = parts_.hidden_size,
      .eps = layer.norm_eps
  };
  norm(pass, norm_params);
  linear(pass, layer.qkv, workspace.normed.as<void>(), workspace.qkv.as<void>(), Finish::store);
  attention(pass, index);
  const auto finish_block = [&](const Matrix& matrix, const DeviceBuffer& x, const void* post) {
    const bool has_post = post != nullptr;
    linear(
        pass,
        matrix,
        x.as<void>(),
        has_post ? workspace.projected.as<void>() : workspace.hidden.as<void>(),
        has_post ? Finish::store : Finish::residual
    );
    pending_norm = post;
  };
  finish_block(layer.o, workspace.mixed, address_of(layer.post_attention));
  norm_params.y = pending_norm != nullptr ? workspace.projected.as<void>() : nullptr;
  norm_params.post_weight = pending_norm;
  norm_params.pre_weight = address_of(layer.pre_mlp);
  norm(pass, norm_params);
  products_.enqueue(
      {.matrix = layer.gate_up,
       .x = workspace.normed.as<void>(),
       .out = workspace.gated.as<void>(),
       .num_rows = pass.num_rows,
       .finish = Finish::gated,
       .activation = activation_code(layer.mlp.activation)},
      workspace.products,
      pass.stream
  );
  finish_block(layer.down, workspace.gated, address_of(layer.post_mlp));
}

void Decoder::enqueue(
    const StepPlan& plan,
    const int* integers,
    const std::vector<PoolView>& pools,
    const Workspace& workspace,
    CUstream stream
) {
  const Pass pass{plan, integers, pools, workspace, stream, plan.layout.num_rows};
  const EmbeddingParams embedding{
      .tokens = workspace.tokens.as<int>(),
      .weight = parts_.embedding.weight,
      .scales = parts_.embedding.scales,
      .biases = parts_.embedding.biases,
      .out = workspace.hidden.as<void>(),
      .num_columns = parts_.hidden_size,
      .bits = parts_.embedding.bits,
      .group_size = parts_.embedding.group_size,
      .factor = parts_.embedding_scale
  };
  context_->launch(row_kernel("embed"), {.grid_x = pass.num_rows}, embedding, stream);
  rope_tables(pass);
  const void* pending_norm = nullptr;
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) layer(pass, i, pending_norm);
  if (pending_norm == nullptr) return;
  norm(
      pass,
      {.x = workspace.hidden.as<void>(),
       .y = workspace.projected.as<void>(),
       .post_weight = pending_norm,
       .pre_weight = nullptr,
       .out = nullptr,
       .num_columns = parts_.hidden_size,
       .eps = parts_.norm_eps}
  );
}

void Decoder::enqueue_logits(
    const void* hidden, int num_rows, float* logits, const Workspace& workspace, CUstream stream
) {
  const StepPlan no_plan;
  const Pass pass{no_plan, nullptr, {}, workspace, stream, num_rows};
  norm(
      pass,
      {.x = const_cast<void*>(hidden),  // y is null: it is only read
       .y = nullptr,
       .post_weight = nullptr,
       .pre_weight = address_of(parts_.final_norm),
       .out = workspace.normed.as<void>(),
       .num_columns = parts_.hidden_size,
       .eps = parts_.norm_eps}
  );
  linear(pass, parts_.output, workspace.normed.as<void>(), logits, Finish::store_float);
}

}  // namespace mlxs::cuda
