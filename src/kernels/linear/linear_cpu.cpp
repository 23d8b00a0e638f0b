// The primitive, and packing of what was loaded as MLX arrays.
#include "kernels/linear/linear_cpu.h"

#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/linear/linear_input.h"
#include "kernels/linear/packed_linear.h"

namespace mlxs {
namespace {

ScaleType scale_type_of(mx::Dtype dtype) {
  if (dtype == mx::float16) return ScaleType::float16;
  if (dtype == mx::bfloat16) return ScaleType::bfloat16;
  if (dtype == mx::float32) return ScaleType::float32;
  throw std::invalid_argument("[linear] a weight or its scales are no floats");
}

PackedFormat dense_format_of(mx::Dtype dtype) {
  switch (scale_type_of(dtype)) {
    case ScaleType::float16:
      return PackedFormat::float16;
    case ScaleType::bfloat16:
      return PackedFormat::bfloat16;
    case ScaleType::float32:
      return PackedFormat::float32;
  }
  return PackedFormat::float32;
}

const std::byte* bytes_of(const mx::array& x) {
  if (!x.flags().row_contiguous)
    throw std::invalid_argument("[linear] the arrays must be row-major");
  return x.data<std::byte>();
}

// x and out as they are when the task runs.
struct LinearTask {
  std::shared_ptr<CpuContext> context;
  std::shared_ptr<const PackedLinear> weight;
  const float* x = nullptr;
  float* out = nullptr;
  int num_rows = 0;

  void run() const {
    context->scratch.reset();
    LinearInput input = make_linear_input(
        context->scratch, static_cast<InputForms>(weight->input_form), num_rows, weight->num_columns
    );
    prepare_input(*context, x, input);
    const LinearJob job{
        .weight = weight.get(), .input = &input, .out = out, .out_stride = weight->num_outputs
    };
    packed_linear(*context, {&job, 1});
  }
};

class LinearCpu final : public mx::UnaryPrimitive {
 public:
  LinearCpu(mx::Stream stream, const Linear& layer)
      : UnaryPrimitive(stream), context_(layer.cpu), weight_(layer.packed) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& out) override {
    if (!inputs[0].flags().row_contiguous)
      throw std::invalid_argument("[linear] x must be row-major");
    out.set_data(mx::allocator::malloc(out.nbytes()));
    const LinearTask task{
        .context = context_,
        .weight = weight_,
        .x = inputs[0].data<float>(),
        .out = out.data<float>(),
        .num_rows = inputs[0].shape(0)
    };
    // MLX keeps the inputs until the task is done, but not the output.
    mx::cpu::get_command_encoder(stream()).dispatch([task, buffer = out.data_shared_ptr()] {
      task.run();
    });
  }

  void eval_gpu(const std::vector<mx::array>& /*inputs*/, mx::array& /*out*/) override {
    throw std::logic_error("[linear_cpu] runs on the CPU only");
  }

  const char* name() const override { return "LinearCpu"; }

 private:
  std::shared_ptr<CpuContext> context_;
  std::shared_ptr<const PackedLinear> weight_;
};

}  // namespace

Linear packed_on(const std::shared_ptr<CpuContext>& context, Linear layer) {
  const bool is_quantized = layer.is_quantized();
  LinearSource source{
      .weight = bytes_of(layer.weight),
      .num_outputs = layer.weight.shape(0),
      .num_columns =
          is_quantized ? layer.scales->shape(1) * layer.group_size : layer.weight.shape(1),
      .bits = layer.bits,
      .group_size = layer.group_size
  };
  if (is_quantized) {
    if (layer.scales->dtype() != layer.biases->dtype())
      throw std::invalid_argument("[linear] scales and biases of different types");
    source.scale_type = scale_type_of(layer.scales->dtype());
    source.scales = bytes_of(*layer.scales);
    source.biases = bytes_of(*layer.biases);
  } else {
    source.dense_format = dense_format_of(layer.weight.dtype());
  }
  if (layer.bias) {
    layer.bias = mx::contiguous(mx::astype(*layer.bias, mx::float32));
    layer.bias->eval();
    source.bias = layer.bias->data<float>();
  }
  auto packed = std::make_shared<const PackedLinear>(pack_linear(*context, source));
  return Linear{.weight = mx::array({}, mx::float32), .packed = std::move(packed), .cpu = context};
}

mx::array linear_cpu(const mx::array& x, const Linear& layer) {
  return mx::astype(
      mx::array(
          {x.shape(0), layer.packed->num_outputs},
          mx::float32,
          std::make_shared<LinearCpu>(mx::to_stream(mx::Device(mx::Device::cpu)), layer),
          {mx::contiguous(mx::astype(x, mx::float32))}
      ),
      x.dtype()
  );
}

}  // namespace mlxs
