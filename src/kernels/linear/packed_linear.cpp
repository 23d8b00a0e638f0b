// The product: from jobs to parts, from a part to the kernel's problem.
#include "kernels/linear/packed_linear.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/linear/packed_dispatch.h"
#include "kernels/linear/packed_kernel.h"

namespace mlxs {
namespace {

PackedCodes codes_of(PackedFormat format) {
  switch (format) {
    case PackedFormat::affine4:
      return PackedCodes::affine4;
    case PackedFormat::affine8:
      return PackedCodes::affine8;
    case PackedFormat::float32:
      return PackedCodes::float32;
    case PackedFormat::float16:
      return PackedCodes::float16;
    case PackedFormat::bfloat16:
      return PackedCodes::bfloat16;
  }
  return PackedCodes::float32;
}

PackedScales scales_of(ScaleType type) {
  switch (type) {
    case ScaleType::float32:
      return PackedScales::float32;
    case ScaleType::float16:
      return PackedScales::float16;
    case ScaleType::bfloat16:
      return PackedScales::bfloat16;
  }
  return PackedScales::float32;
}

PackedProblem problem_of(const LinearJob& job) {
  const PackedLinear& weight = *job.weight;
  const bool is_int8 = weight.input_form == InputForm::int8;
  const ProblemForm quantized = is_int8 ? ProblemForm::int8 : ProblemForm::int16;
  return {
      .codes = codes_of(weight.format),
      .scale_type = scales_of(weight.scale_type),
      .form = weight.input_form == InputForm::float32 ? ProblemForm::float32 : quantized,
      .blocks = reinterpret_cast<const unsigned char*>(weight.blocks.data()),
      .block_bytes = weight.block_bytes,
      .num_columns = weight.num_columns,
      .num_outputs = weight.num_outputs,
      .group_size = weight.group_size,
      .zero_point = weight.zero_point,
      .groups = is_int8 ? static_cast<const void*>(job.input->int8) : job.input->int16,
      .x = job.input->x,
      .bias = reinterpret_cast<const float*>(weight.bias.data()),
      .addend = job.addend,
      .out = job.out,
      .out_stride = job.out_stride
  };
}

std::int64_t num_blocks(const PackedLinear& weight) {
  return (std::int64_t{weight.num_outputs} + kPackedOutputs - 1) / kPackedOutputs;
}

// How a job is cut: parts are all of nearly one size, so that a slow thread is not waited for, and
// large enough that taking one costs nothing.
struct Cut {
  std::int64_t row_parts = 1;
  std::int64_t block_parts = 1;

  [[nodiscard]] std::int64_t num_parts() const { return row_parts * block_parts; }
};

Cut cut_job(const LinearJob& job, int num_threads) {
  constexpr std::int64_t kProductsWorthAPart = 1 << 16;
  constexpr std::int64_t kMaxPartsPerJob = 1 << 12;
  constexpr std::int64_t kRowsWorthAPart = 48;  // a multiple of every path's tile
  const PackedLinear& weight = *job.weight;
  const std::int64_t rows = job.input->num_rows;
  const std::int64_t products = rows * weight.num_columns * weight.num_outputs;
  const std::int64_t wanted =
      std::clamp<std::int64_t>(products / kProductsWorthAPart, 1, std::int64_t{4} * num_threads);
  const std::int64_t pairs = (num_blocks(weight) + 1) / 2;
  Cut cut{.row_parts = 1, .block_parts = std::min({wanted, pairs, kMaxPartsPerJob})};
  if (cut.block_parts < wanted) {
    cut.row_parts = std::clamp<std::int64_t>(
        rows / kRowsWorthAPart, 1, (wanted + cut.block_parts - 1) / cut.block_parts
    );
  }
  return cut;
}

// Even numbers of blocks, as a tile is two blocks wide on some paths.
LinearPart part_of(const LinearJob& job, const Cut& cut, std::int64_t index) {
  const std::int64_t row_part = index % cut.row_parts;
  const std::int64_t block_part = index / cut.row_parts;
  const std::int64_t pairs = (num_blocks(*job.weight) + 1) / 2;
  const std::int64_t rows = job.input->num_rows;
  const auto output_at = [&](std::int64_t part) {
    const std::int64_t output = pairs * part / cut.block_parts * 2 * kPackedOutputs;
    return static_cast<int>(std::min<std::int64_t>(output, job.weight->num_outputs));
  };
  return {
      .first_row = static_cast<int>(rows * row_part / cut.row_parts),
      .last_row = static_cast<int>(rows * (row_part + 1) / cut.row_parts),
      .first_output = output_at(block_part),
      .last_output = output_at(block_part + 1)
  };
}

}  // namespace

void run_linear_part(CpuPath path, const LinearJob& job, const LinearPart& part) {
  const BlockRange range{
      .first_row = part.first_row,
      .last_row = part.last_row,
      .first_block = part.first_output / kPackedOutputs,
      .last_block = (part.last_output + kPackedOutputs - 1) / kPackedOutputs
  };
  packed_kernels(path).multiply(problem_of(job), range);
}

void packed_linear(CpuContext& context, std::span<const LinearJob> jobs) {
  constexpr std::size_t kMaxJobs = 8;
  const int num_threads = context.team.num_threads();
  for (; !jobs.empty(); jobs = jobs.subspan(std::min(kMaxJobs, jobs.size()))) {
    const std::span<const LinearJob> phase = jobs.first(std::min(kMaxJobs, jobs.size()));
    std::int64_t num_parts = 0;
    for (const LinearJob& job : phase) num_parts += cut_job(job, num_threads).num_parts();
    context.team.run(static_cast<int>(num_parts), [&](int part) {
      std::int64_t index = part;
      const LinearJob* job = phase.data();
      Cut cut = cut_job(*job, num_threads);
      while (index >= cut.num_parts()) {
        index -= cut.num_parts();
        cut = cut_job(*++job, num_threads);
      }
      run_linear_part(context.path, *job, part_of(*job, cut, index));
    });
  }
}

}  // namespace mlxs
