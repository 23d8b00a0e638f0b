// At most eight launches a layer for few rows: norm, qkv, attention with norm, rotation and store,
// o with the residual, norm, gate and up with the activation, down with the residual.
#include "kernels/cuda/decoder.h"

#include <algorithm>
#include <string>
#include <utility>

namespace mlxs::cuda {
namespace {

// Beyond these the weights are better multiplied by cuBLAS, expanded first where they are
// quantized.
constexpr int kMaxStreamedDense = 32;
constexpr int kMaxStreamedQuantized = 64;
constexpr std::size_t kExpandedBytes = std::size_t{160} << 20;
constexpr int kMaxHeadsAtOnce = 8;

int ceil_div(int value, int divisor) { return (value + divisor - 1) / divisor; }

int heads_at_once(const AttentionSpec& spec) {
  const int group = spec.num_heads / spec.num_kv_heads;
  return ceil_div(group, ceil_div(group, kMaxHeadsAtOnce));
}

int num_splits(const Context& context, int num_items, int num_blocks_an_item) {
  const int wanted = 4 * context.num_processors();
  return std::clamp(wanted / std::max(1, num_items * num_blocks_an_item), 1, kMaxSplits);
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
    : context_(std::move(context)), parts_(std::move(parts)) {
  bool is_quantized = parts_.output.bits != 16;
  for (const LayerWeights& layer : parts_.layers)
    is_quantized = is_quantized || layer.qkv.bits != 16 || layer.down.bits != 16;
  if (is_quantized) expanded_ = context_->allocate(kExpandedBytes);
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

ProgramRequest Decoder::linear_program(const Matrix& matrix) const {
  ProgramRequest request{.name = "linear", .defines = half_define()};
  request.defines.emplace_back("MLXS_WEIGHT_BITS", matrix.bits);
  request.defines.emplace_back("MLXS_GROUP_SIZE", matrix.group_size);
  return request;
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

void Decoder::streamed_linear(
    const Pass& pass, const Matrix& matrix, const LinearParams& params, Finish finish
) {
  const int num_rows = params.num_rows;
  const int tile_rows = num_rows <= 8 ? 8 : num_rows <= 16 ? 16 : num_rows <= 32 ? 32 : 64;
  const int height = tile_rows >= 32 ? 32 : 16;
  const char* suffix = finish == Finish::store      ? "store"
                       : finish == Finish::residual ? "residual"
                       : finish == Finish::gated    ? "gated"
                                                    : "float";
  const CUfunction function = context_->programs().function(
      linear_program(matrix), "linear_" + std::to_string(tile_rows) + "_" + suffix
  );
  const int num_blocks = finish == Finish::gated ? ceil_div(params.gate_offset, 16)
                                                 : ceil_div(params.num_outputs, height);
  context_->launch(
      function, {.x = num_blocks, .y = ceil_div(num_rows, tile_rows)}, 256, params, pass.stream
  );
}

void Decoder::many_rows(
    const Pass& pass, const Matrix& matrix, const LinearParams& params, Finish finish
) {
  Context::Product product{
      .weight = params.weight,
      .x = params.x,
      .out = finish == Finish::gated ? pass.workspace.gate_up.as<void>() : params.out,
      .num_outputs = params.num_outputs,
      .num_columns = params.num_columns,
      .num_rows = params.num_rows,
      .out_pitch = params.num_outputs,
      .adds = finish == Finish::residual,
      .is_float = finish == Finish::store_float,
      .is_float16 = parts_.is_float16
  };
  char* const out = static_cast<char*>(product.out);
  const std::size_t out_size = product.is_float ? 4 : 2;
  if (matrix.bits == 16) {
    context_->multiply(product, pass.stream);
  } else {
    const auto row_bytes = static_cast<std::size_t>(matrix.num_columns) * 2;
    const int at_once = static_cast<int>(std::min<std::size_t>(
        kExpandedBytes / row_bytes, static_cast<std::size_t>(matrix.num_outputs)
    ));
    const CUfunction expand = context_->programs().function(linear_program(matrix), "dequantize");
    for (int first = 0; first < matrix.num_outputs; first += at_once) {
      const int count = std::min(at_once, matrix.num_outputs - first);
      const std::size_t skipped =
          static_cast<std::size_t>(first) * static_cast<std::size_t>(matrix.num_columns);
      const std::size_t skipped_groups = skipped / static_cast<std::size_t>(matrix.group_size) * 2;
      const DequantizeParams expansion{
          .weight = static_cast<const char*>(matrix.weight) +
                    skipped * static_cast<std::size_t>(matrix.bits) / 8,
          .scales = static_cast<const char*>(matrix.scales) + skipped_groups,
          .biases = static_cast<const char*>(matrix.biases) + skipped_groups,
          .out = expanded_.as<void>(),
          .num_words = static_cast<long long>(count) * matrix.num_columns * matrix.bits / 32
      };
      context_->launch(expand, {.x = 8 * context_->num_processors()}, 256, expansion, pass.stream);
      product.weight = expanded_.as<void>();
      product.num_outputs = count;
      product.out = out + static_cast<std::size_t>(first) * out_size;
      context_->multiply(product, pass.stream);
    }
  }
  if (matrix.bias != nullptr) {
    const BiasParams bias{.out = out, .bias = matrix.bias, .num_columns = matrix.num_outputs};
    context_->launch(
        row_kernel("add_bias"),
        {.x = ceil_div(matrix.num_outputs, 256), .y = params.num_rows},
        256,
        bias,
        pass.stream
    );
  }
  if (finish != Finish::gated) return;
  const GateParams gate{
      .gate_up = out,
      .out = params.out,
      .num_columns = params.gate_offset,
      .activation = params.activation
  };
  context_->launch(
      row_kernel("gate"),
      {.x = ceil_div(params.gate_offset, 512), .y = params.num_rows},
      256,
      gate,
      pass.stream
  );
}

void Decoder::linear(
    const Pass& pass, const Matrix& matrix, const void* x, void* out, Finish finish
) {
  const LinearParams params{
      .weight = matrix.weight,
      .scales = matrix.scales,
      .biases = matrix.biases,
      .bias = matrix.bias,
      .x = x,
      .residual = out,
      .out = out,
      .num_rows = pass.num_rows,
      .num_outputs = matrix.num_outputs,
      .num_columns = matrix.num_columns,
      .gate_offset = matrix.num_outputs / 2,
      .activation = 0
  };
  const int most = matrix.bits == 16 ? kMaxStreamedDense : kMaxStreamedQuantized;
  if (pass.num_rows <= most) {
    streamed_linear(pass, matrix, params, finish);
  } else {
    many_rows(pass, matrix, params, finish);
  }
}

void Decoder::norm(const Pass& pass, const NormParams& params) {
  context_->launch(row_kernel("norm_rows"), {.x = pass.num_rows}, 256, params, pass.stream);
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
    context_->launch(row_kernel("rope_table"), {.x = pass.num_rows}, 128, params, pass.stream);
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
        {.x = pass.plan.num_stored, .y = ceil_div(num_heads, 4)},
        128,
        params,
        pass.stream
    );
    params.items = pass.integers + layout.tiles();
    context_->launch(
        programs.function(program, "prefill_attention"),
        {.x = pass.plan.num_tiles, .y = spec.num_heads},
        128,
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
        {.x = params.num_splits, .y = spec.num_kv_heads * num_chunks, .z = pass.plan.num_decode},
        128,
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
  LinearParams gate{
      .weight = layer.gate_up.weight,
      .scales = layer.gate_up.scales,
      .biases = layer.gate_up.biases,
      .bias = layer.gate_up.bias,
      .x = workspace.normed.as<void>(),
      .residual = nullptr,
      .out = workspace.gated.as<void>(),
      .num_rows = pass.num_rows,
      .num_outputs = layer.gate_up.num_outputs,
      .num_columns = layer.gate_up.num_columns,
      .gate_offset = layer.mlp.intermediate_size,
      .activation = activation_code(layer.mlp.activation)
  };
  const int most = layer.gate_up.bits == 16 ? kMaxStreamedDense : kMaxStreamedQuantized;
  if (pass.num_rows <= most) {
    streamed_linear(pass, layer.gate_up, gate, Finish::gated);
  } else {
    many_rows(pass, layer.gate_up, gate, Finish::gated);
  }
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
  context_->launch(row_kernel("embed"), {.x = pass.num_rows}, 256, embedding, stream);
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
