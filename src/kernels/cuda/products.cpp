// Few rows stream the weights past the tensor cores. More rows of quantized weights go to the wide
// kernels, which expand weights in registers; of dense ones, and very many of quantized ones
// expanded before, to cuBLAS.
#include "kernels/cuda/products.h"

#include <algorithm>
#include <cstddef>

namespace mlxs::cuda {
namespace {

// Measured on an H100 over the shapes of an 8B model.
constexpr int kMaxStreamed = 8;
constexpr int kMaxWide = 256;
constexpr std::size_t kExpandedBytes = std::size_t{160} << 20;

constexpr int kStageColumns = 128;  // of wide_linear.cu
constexpr int kWideThreads = 256;
constexpr int kMaxWideRows = 128;
constexpr int kMaxWideTiles = 4096;

int ceil_div(int value, int divisor) { return (value + divisor - 1) / divisor; }

const char* suffix_of(Finish finish) {
  switch (finish) {
    case Finish::store:
      return "store";
    case Finish::residual:
      return "residual";
    case Finish::gated:
      return "gated";
    case Finish::store_float:
      return "float";
  }
  return "";
}

LinearParams params_of(const ProductJob& job) {
  const Matrix& matrix = job.matrix;
  return {
      .weight = matrix.weight,
      .scales = matrix.scales,
      .biases = matrix.biases,
      .bias = matrix.bias,
      .x = job.x,
      .residual = job.out,
      .out = job.out,
      .partials = nullptr,
      .arrivals = nullptr,
      .num_rows = job.num_rows,
      .num_outputs = matrix.num_outputs,
      .num_columns = matrix.num_columns,
      .gate_offset = matrix.num_outputs / 2,
      .activation = job.activation,
      .num_splits = 1
  };
}

// How a wide product is cut into blocks: as wide_linear.cu has it.
struct WidePlan {
  int rows;  // of a block
  int num_row_tiles;
  int num_output_tiles;
  int num_splits;
  int shared_bytes;
};

WidePlan plan_wide(const ProductJob& job, int num_processors) {
  const Matrix& matrix = job.matrix;
  const int num_rows = job.num_rows;
  const int rows = num_rows <= 16 ? 16 : num_rows <= 32 ? 32 : num_rows <= 64 ? 64 : kMaxWideRows;
  const bool is_gated = job.finish == Finish::gated;
  const int outputs = is_gated ? 256 : 128;
  WidePlan plan{
      .rows = rows,
      .num_row_tiles = ceil_div(num_rows, rows),
      .num_output_tiles = ceil_div(matrix.num_outputs, outputs),
      .num_splits = 1,
      .shared_bytes = 0
  };
  const int num_tiles = plan.num_row_tiles * plan.num_output_tiles;
  const int num_stages = ceil_div(matrix.num_columns, kStageColumns);
  const int at_once = num_processors * (rows <= 32 ? 2 : 1);
  plan.num_splits = std::clamp(at_once / num_tiles, 1, std::max(1, num_stages / 4));
  const int num_slots = matrix.bits == 4 ? (rows == 64 ? 5 : 4) : (rows == kMaxWideRows ? 3 : 4);
  plan.shared_bytes = num_slots * (kStageColumns * 2 * rows + 16 * matrix.bits * outputs);
  return plan;
}

}  // namespace

ProductSpace::ProductSpace(const Context& context, int num_rows, int width, int gated_width) {
  constexpr std::size_t kHalf = 2;
  gated = context.allocate(
      static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(gated_width) * kHalf
  );
  const auto ordered_rows = static_cast<std::size_t>(8 * ceil_div(std::min(num_rows, kMaxWide), 8));
  const auto columns = static_cast<std::size_t>(kStageColumns * ceil_div(width, kStageColumns));
  ordered = context.allocate(ordered_rows * columns * kHalf);
  // Where columns are split, there are at most as many blocks as run at once.
  partials = context.allocate(
      sizeof(float) * kWideThreads * kMaxWideRows *
      static_cast<std::size_t>(context.num_processors())
  );
  arrivals = context.allocate(kMaxWideTiles * sizeof(unsigned int));
  const Driver& driver = context.driver();
  driver.check(
      driver.memset_async(arrivals.address(), 0, kMaxWideTiles * sizeof(unsigned int), nullptr),
      "clearing a workspace"
  );
  driver.check(driver.stream_synchronize(nullptr), "clearing a workspace");
}

Products::Products(std::shared_ptr<Context> context, bool is_float16, bool has_quantized)
    : context_(std::move(context)), is_float16_(is_float16) {
  if (has_quantized) expanded_ = context_->allocate(kExpandedBytes);
}

ProgramRequest Products::program(const char* name, const Matrix& matrix) const {
  ProgramRequest request{.name = name, .defines = {{"MLXS_HALF", is_float16_ ? 1 : 0}}};
  request.defines.emplace_back("MLXS_WEIGHT_BITS", matrix.bits);
  request.defines.emplace_back("MLXS_GROUP_SIZE", matrix.group_size);
  return request;
}

ProgramRequest Products::row_program() const {
  return {.name = "rows", .defines = {{"MLXS_HALF", is_float16_ ? 1 : 0}}};
}

void Products::enqueue(const ProductJob& job, const ProductSpace& space, CUstream stream) {
  if (job.num_rows <= kMaxStreamed) {
    streamed(job, stream);
  } else if (job.matrix.bits != 16 && job.num_rows <= kMaxWide) {
    wide(job, space, stream);
  } else {
    many_rows(job, space, stream);
  }
}

void Products::streamed(const ProductJob& job, CUstream stream) {
  const CUfunction function = context_->programs().function(
      program("linear", job.matrix), std::string("linear_") + suffix_of(job.finish)
  );
  const int num_outputs =
      job.finish == Finish::gated ? job.matrix.num_outputs / 2 : job.matrix.num_outputs;
  context_->launch(function, {.grid_x = ceil_div(num_outputs, 16)}, params_of(job), stream);
}

void Products::wide(const ProductJob& job, const ProductSpace& space, CUstream stream) {
  const Matrix& matrix = job.matrix;
  const ProgramRequest request = program("wide_linear", matrix);
  Programs& programs = context_->programs();
  const OrderParams order{
      .x = job.x,
      .out = space.ordered.as<void>(),
      .num_rows = job.num_rows,
      .num_columns = matrix.num_columns
  };
  const int num_stages = ceil_div(matrix.num_columns, kStageColumns);
  context_->launch(
      programs.function(request, "order_columns"),
      {.grid_x = ceil_div(job.num_rows, 8), .grid_y = num_stages, .num_threads = 128},
      order,
      stream
  );
  const WidePlan plan = plan_wide(job, context_->num_processors());
  LinearParams params = params_of(job);
  params.x = space.ordered.as<void>();
  params.partials = space.partials.as<float>();
  params.arrivals = space.arrivals.as<unsigned int>();
  params.num_splits = plan.num_splits;
  const std::string name = "wide_" + std::to_string(plan.rows) + "_" + suffix_of(job.finish);
  context_->launch(
      programs.function(request, name, plan.shared_bytes),
      {.grid_x = plan.num_row_tiles,
       .grid_y = plan.num_output_tiles,
       .grid_z = plan.num_splits,
       .num_threads = kWideThreads,
       .shared_bytes = plan.shared_bytes},
      params,
      stream
  );
}

void Products::multiply_expanded(const Matrix& matrix, Context::Product product, CUstream stream) {
  char* const out = static_cast<char*>(product.out);
  const std::size_t out_size = product.is_float ? 4 : 2;
  const auto row_bytes = static_cast<std::size_t>(matrix.num_columns) * 2;
  const int at_once = static_cast<int>(std::min<std::size_t>(
      kExpandedBytes / row_bytes, static_cast<std::size_t>(matrix.num_outputs)
  ));
  const CUfunction expand = context_->programs().function(program("linear", matrix), "dequantize");
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
    context_->launch(expand, {.grid_x = 8 * context_->num_processors()}, expansion, stream);
    product.weight = expanded_.as<void>();
    product.num_outputs = count;
    product.out = out + static_cast<std::size_t>(first) * out_size;
    context_->multiply(product, stream);
  }
}

void Products::many_rows(const ProductJob& job, const ProductSpace& space, CUstream stream) {
  const Matrix& matrix = job.matrix;
  const bool is_gated = job.finish == Finish::gated;
  const Context::Product product{
      .weight = matrix.weight,
      .x = job.x,
      .out = is_gated ? space.gated.as<void>() : job.out,
      .num_outputs = matrix.num_outputs,
      .num_columns = matrix.num_columns,
      .num_rows = job.num_rows,
      .out_pitch = matrix.num_outputs,
      .adds = job.finish == Finish::residual,
      .is_float = job.finish == Finish::store_float,
      .is_float16 = is_float16_
  };
  if (matrix.bits == 16) {
    context_->multiply(product, stream);
  } else {
    multiply_expanded(matrix, product, stream);
  }
  if (matrix.bias != nullptr) add_bias(job, product.out, stream);
  if (is_gated) gate(job, product.out, stream);
}

void Products::add_bias(const ProductJob& job, void* out, CUstream stream) {
  const BiasParams bias{.out = out, .bias = job.matrix.bias, .num_columns = job.matrix.num_outputs};
  context_->launch(
      context_->programs().function(row_program(), "add_bias"),
      {.grid_x = ceil_div(job.matrix.num_outputs, 256), .grid_y = job.num_rows},
      bias,
      stream
  );
}

void Products::gate(const ProductJob& job, const void* gate_up, CUstream stream) {
  const int num_columns = job.matrix.num_outputs / 2;
  const GateParams params{
      .gate_up = gate_up, .out = job.out, .num_columns = num_columns, .activation = job.activation
  };
  context_->launch(
      context_->programs().function(row_program(), "gate"),
      {.grid_x = ceil_div(num_columns, 512), .grid_y = job.num_rows},
      params,
      stream
  );
}

}  // namespace mlxs::cuda
