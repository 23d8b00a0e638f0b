// The primitive: from MLX's arrays to memory.
#include "kernels/decoder_layer/decoder_layer_cpu.h"

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/batch_view.h"
#include "kernels/decoder_layer/decoder_layer.h"
#include "kernels/decoder_layer/layer_run.h"
#include "kernels/kv_pages.h"
#include "kernels/kv_type.h"
#include "kernels/linear/linear.h"
#include "kernels/rope/rope.h"

namespace mlxs {
namespace {

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
    buffers.reserve(outputs.size());
    for (const mx::array& output : outputs) buffers.push_back(output.data_shared_ptr());
    mx::cpu::get_command_encoder(stream()).dispatch(
        [memory = memory_of(inputs, outputs), layer = layer_, batch = batch_, buffers] {
          run_layer(*layer, *batch, memory);
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
    const LayerStep& step,
    KvLayer& pool
) {
  const bool fits = x.dtype() == mx::float32 && x.ndim() == 2 &&
                    x.shape(0) == step.batch.host->num_rows && x.shape(1) == layer->o->num_outputs;
  if (!fits) throw std::invalid_argument("[decoder_layer] needs x [T, E] float32");
  std::vector<mx::array> inputs{mx::contiguous(x)};
  if (step.rope != nullptr) {
    inputs.push_back(step.rope->cos);
    inputs.push_back(step.rope->sin);
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
          step.batch.host,
          DecoderLayerCpu::Form{.group = pool.group, .has_rope = step.rope != nullptr}
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
