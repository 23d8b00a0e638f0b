// The primitive: lays out the problem and deals its outputs to the team in small parts.
#include "kernels/linear/linear_cpu.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/linear/linear_kernel.h"
#include "kernels/worker_team.h"

namespace mlxs {
namespace {

LinearKernel best_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0)
    return linear_kernel_avx2;
#endif
  return linear_kernel_baseline;
}

std::optional<WeightFormat> format_of(const Linear& layer) {
  if (!layer.is_quantized()) {
    if (layer.weight.dtype() == mx::float32) return WeightFormat::float32;
    if (layer.weight.dtype() == mx::float16) return WeightFormat::float16;
    if (layer.weight.dtype() == mx::bfloat16) return WeightFormat::bfloat16;
    return std::nullopt;
  }
  if (layer.scales->dtype() != mx::float32 || layer.biases->dtype() != mx::float32)
    return std::nullopt;
  switch (layer.bits) {
    case 2:
      return WeightFormat::affine2;
    case 3:
      return WeightFormat::affine3;
    case 4:
      return WeightFormat::affine4;
    case 6:
      return WeightFormat::affine6;
    case 8:
      return WeightFormat::affine8;
    default:
      return std::nullopt;
  }
}

// Outputs in a part: few enough that a slow thread is not waited for, enough that taking a part
// costs nothing.
std::int64_t part_size(const LinearProblem& problem, int num_threads) {
  constexpr std::int64_t kProductsWorthAThread = 1 << 15;
  constexpr std::int64_t kMaxParts = 1 << 12;
  if (problem.num_rows * problem.num_columns * problem.num_outputs <= kProductsWorthAThread)
    return problem.num_outputs;
  const std::int64_t share = problem.num_outputs / (8 * std::int64_t{num_threads});
  const std::int64_t preferred =
      std::clamp<std::int64_t>(share / kOutputBlock * kOutputBlock, 8, 256);
  return std::max(preferred, problem.num_outputs / kMaxParts + 1);
}

void run_problem(const LinearProblem& problem, WorkerTeam& team) {
  const LinearKernel kernel = best_kernel();
  const std::int64_t outputs_per_part = part_size(problem, team.num_threads());
  const auto num_parts =
      static_cast<int>((problem.num_outputs + outputs_per_part - 1) / outputs_per_part);
  team.run(num_parts, [&](int part) {
    const std::int64_t first = part * outputs_per_part;
    const std::int64_t last = std::min(first + outputs_per_part, problem.num_outputs);
    const auto scratch_size = static_cast<std::size_t>(kOutputBlock * problem.num_columns);
    const auto scratch = std::make_unique_for_overwrite<float[]>(scratch_size);
    kernel(problem, first, last, scratch.get());
  });
}

class LinearCpu final : public mx::UnaryPrimitive {
 public:
  LinearCpu(mx::Stream stream, const LinearProblem& form, std::shared_ptr<WorkerTeam> team)
      : UnaryPrimitive(stream), form_(form), team_(std::move(team)) {}

  // inputs: x, weight, bias where form_.bias is to be set, scales and biases where the weight is
  // quantized.
  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    for (const mx::array& input : inputs) {
      if (!input.flags().row_contiguous)
        throw std::invalid_argument("[linear] the arrays must be row-major");
    }
    out.set_data(mx::allocator::malloc(out.nbytes()));
    LinearProblem problem = form_;
    problem.x = inputs[0].data<float>();
    problem.weight = inputs[1].data<unsigned char>();
    problem.num_rows = inputs[0].shape(0);
    problem.out = out.data<float>();
    const bool is_quantized = problem.group_size > 0;
    if (is_quantized) {
      problem.scales = inputs[2].data<float>();
      problem.biases = inputs[3].data<float>();
    }
    if (inputs.size() == (is_quantized ? 5U : 3U)) problem.bias = inputs.back().data<float>();
    // MLX keeps the inputs until the task is done, but not the output.
    mx::cpu::get_command_encoder(stream()).dispatch(
        [problem, team = team_, buffer = out.data_shared_ptr()] { run_problem(problem, *team); }
    );
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, mx::array& /*out*/) override {
    throw std::logic_error("[linear_cpu] runs on the CPU only");
  }

  const char* name() const override { return "LinearCpu"; }

 private:
  LinearProblem form_;  // sizes and format; no pointers
  std::shared_ptr<WorkerTeam> team_;
};

}  // namespace

bool can_run_linear_cpu(const mx::array& x, const Linear& layer) {
  return layer.cpu_team != nullptr && x.dtype() == mx::float32 && format_of(layer) &&
         mx::to_stream({}).device == mx::Device::cpu;
}

mx::array linear_cpu(const mx::array& x, const Linear& layer) {
  const mx::array& weight = layer.weight;
  const int num_outputs = weight.shape(0);
  const LinearProblem form{
      .num_columns = x.shape(1),
      .num_outputs = num_outputs,
      .bytes_per_output =
          std::int64_t{weight.shape(1)} * static_cast<std::int64_t>(weight.itemsize()),
      .group_size = layer.is_quantized() ? layer.group_size : 0,
      .format = format_of(layer).value()
  };
  std::vector<mx::array> inputs{mx::contiguous(x), weight};
  if (layer.is_quantized()) {
    inputs.push_back(*layer.scales);
    inputs.push_back(*layer.biases);
  }
  if (layer.bias) inputs.push_back(mx::astype(*layer.bias, mx::float32));
  auto primitive = std::make_shared<LinearCpu>(mx::to_stream({}), form, layer.cpu_team);
  return mx::array({x.shape(0), num_outputs}, mx::float32, std::move(primitive), std::move(inputs));
}

}  // namespace mlxs
