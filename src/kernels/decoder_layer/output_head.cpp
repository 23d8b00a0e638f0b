// The primitive and the reference.
#include "kernels/decoder_layer/output_head.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/decoder_layer/cpu_rows.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_input.h"
#include "kernels/linear/packed_linear.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rows/row_kernel.h"

namespace mlxs {
namespace {

struct HeadTask {
  std::shared_ptr<CpuContext> context;
  std::shared_ptr<const PackedLinear> weight;
  const float* hidden = nullptr;  // [num_rows, E]
  const float* norm = nullptr;    // [E]
  float* out = nullptr;           // [num_rows, V]
  int num_rows = 0;
  float norm_eps = 0.0F;
  float soft_cap = 0.0F;

  void run() const {
    context->scratch.reset();
    const RowKernels& kernels = row_kernels(context->path);
    const int num_columns = weight->num_columns;
    auto* normed = context->scratch.take<float>(
        static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(num_columns)
    );
    LinearInput input = make_linear_input(
        context->scratch, static_cast<InputForms>(weight->input_form), num_rows, num_columns
    );
    input.x = normed;
    for_rows(*context, num_rows, num_columns, [&](int first, int last) {
      for (int row = first; row < last; ++row) {
        const std::int64_t at = std::int64_t{row} * num_columns;
        kernels.norm(
            {.x = hidden + at,
             .weight = norm,
             .out = normed + at,
             .num_columns = num_columns,
             .eps = norm_eps}
        );
      }
      quantize_rows(context->path, normed, first, last, input);
    });
    const LinearJob job{
        .weight = weight.get(), .input = &input, .out = out, .out_stride = weight->num_outputs
    };
    packed_linear(*context, {&job, 1});
    if (soft_cap > 0.0F) cap(kernels);
  }

  void cap(const RowKernels& kernels) const {
    const std::int64_t num_values = std::int64_t{num_rows} * weight->num_outputs;
    constexpr std::int64_t kPart = 1 << 13;
    constexpr std::int64_t kMaxParts = 1 << 15;
    const std::int64_t part_size = std::max(kPart, (num_values + kMaxParts - 1) / kMaxParts);
    const auto num_parts = static_cast<int>((num_values + part_size - 1) / part_size);
    context->team.run(num_parts, [&](int part) {
      const std::int64_t first = part * part_size;
      kernels.soft_cap(out + first, std::min(part_size, num_values - first), soft_cap);
    });
  }
};

// Inputs: hidden, norm.
class OutputHeadCpu final : public mx::UnaryPrimitive {
 public:
  OutputHeadCpu(mx::Stream stream, HeadTask form)
      : UnaryPrimitive(stream), form_(std::move(form)) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    if (!inputs[0].flags().row_contiguous || !inputs[1].flags().row_contiguous)
      throw std::invalid_argument("[output_head] the arrays must be row-major");
    out.set_data(mx::allocator::malloc(out.nbytes()));
    HeadTask task = form_;
    task.hidden = inputs[0].data<float>();
    task.norm = inputs[1].data<float>();
    task.out = out.data<float>();
    task.num_rows = inputs[0].shape(0);
    // MLX keeps the inputs until the task is done, but not the output.
    mx::cpu::get_command_encoder(stream()).dispatch([task, buffer = out.data_shared_ptr()] {
      task.run();
    });
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, mx::array& /*out*/) override {
    throw std::logic_error("[output_head] runs on the CPU only");
  }

  const char* name() const override { return "OutputHeadCpu"; }

 private:
  HeadTask form_;  // without pointers to memory of a step
};

}  // namespace

mx::array output_head_reference(const mx::array& hidden, const OutputHead& head) {
  mx::array scores =
      mx::astype(linear(rms_norm(hidden, head.norm, head.norm_eps), head.output), mx::float32);
  if (head.soft_cap <= 0.0F) return scores;
  const mx::array cap(head.soft_cap);
  return cap * mx::tanh(scores / cap);
}

mx::array output_head(const mx::array& hidden, const OutputHead& head) {
  if (!head.output.packed || hidden.dtype() != mx::float32)
    return output_head_reference(hidden, head);
  const bool fits = hidden.ndim() == 2 && hidden.shape(1) == head.output.packed->num_columns;
  if (!fits) throw std::invalid_argument("[output_head] needs hidden [R, E]");
  HeadTask form{
      .context = head.output.cpu,
      .weight = head.output.packed,
      .norm_eps = head.norm_eps,
      .soft_cap = head.soft_cap
  };
  return {
      mx::Shape{hidden.shape(0), head.output.packed->num_outputs},
      mx::float32,
      std::make_shared<OutputHeadCpu>(mx::to_stream(mx::Device(mx::Device::cpu)), std::move(form)),
      {mx::contiguous(hidden), mx::contiguous(mx::astype(head.norm, mx::float32))}
  };
}

}  // namespace mlxs
