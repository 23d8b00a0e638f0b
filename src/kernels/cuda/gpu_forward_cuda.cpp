// The CUDA back end of GpuForward: two primitives of MLX, a step's integers in pinned memory, and a
// decode step's launches captured once and replayed.
//
// Everything runs on MLX's own stream: what MLX has recorded is handed over first, then the
// launches follow on the same stream, so that the device sees one order. Nothing waits for the
// device.
#include <mlx/backend/cuda/device.h>
#include <mlx/memory.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>
#include <mlx/utils.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include "kernels/cuda/context.h"
#include "kernels/cuda/decoder.h"
#include "kernels/cuda/layer_weights.h"
#include "kernels/cuda/step_plan.h"
#include "kernels/gpu_forward.h"

namespace mlxs::cuda {
namespace {

constexpr int kLogitRows = 64;  // a first guess; the workspace of logits grows with its rows

// Pinned memory for the integers of a step; used again once the copy out of it is done.
class StagingSlot {
 public:
  explicit StagingSlot(const Driver& driver) : driver_(driver) {
    driver_.check(driver_.event_create(&copied_, CU_EVENT_DISABLE_TIMING), "creating an event");
  }
  ~StagingSlot() {
    driver_.event_destroy(copied_);
    if (memory_ != nullptr) driver_.mem_free_host(memory_);
  }
  StagingSlot(const StagingSlot&) = delete;
  StagingSlot& operator=(const StagingSlot&) = delete;

  void copy(const std::vector<std::int32_t>& integers, CUdeviceptr target, CUstream stream) {
    const std::size_t num_bytes = integers.size() * sizeof(std::int32_t);
    driver_.check(driver_.event_synchronize(copied_), "waiting for a copy");
    if (num_bytes > size_) grow(2 * num_bytes);
    std::memcpy(memory_, integers.data(), num_bytes);
    driver_.check(
        driver_.copy_to_device(target, memory_, num_bytes, stream), "copying a step's integers"
    );
    driver_.check(driver_.event_record(copied_, stream), "recording an event");
  }

 private:
  void grow(std::size_t num_bytes) {
    if (memory_ != nullptr) driver_.check(driver_.mem_free_host(memory_), "freeing memory");
    memory_ = nullptr;
    size_ = 0;
    driver_.check(driver_.mem_host_alloc(&memory_, num_bytes, 0), "allocating pinned memory");
    size_ = num_bytes;
  }

  const Driver& driver_;
  CUevent copied_ = nullptr;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// A captured step.
class Replay {
 public:
  Replay(const Driver& driver, CUgraph graph) : driver_(driver) {
    const CUresult status = driver_.graph_instantiate(&exec_, graph, 0);
    driver_.graph_destroy(graph);
    driver_.check(status, "preparing a captured step");
  }
  ~Replay() {
    if (exec_ != nullptr) driver_.graph_exec_destroy(exec_);
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void launch(CUstream stream) const {
    driver_.check(driver_.graph_launch(exec_, stream), "replaying a step");
  }

 private:
  const Driver& driver_;
  CUgraphExec exec_ = nullptr;
};

class CudaForward;

// inputs: tokens, then every array of the pool that is not there yet; the last layer's keys always,
// whose successor orders this step before the next. outputs: hidden, and that successor.
class ForwardStep final : public mx::Primitive {
 public:
  ForwardStep(mx::Stream stream, std::shared_ptr<CudaForward> owner, StepPlan plan, KvPages pages)
      : Primitive(stream),
        owner_(std::move(owner)),
        plan_(std::move(plan)),
        pages_(std::move(pages)) {}

  void eval_cpu(const std::vector<mx::array>&, std::vector<mx::array>&) override {
    throw std::logic_error("[cuda_forward] runs on a GPU only");
  }
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  const char* name() const override { return "CudaForward"; }

 private:
  std::shared_ptr<CudaForward> owner_;
  StepPlan plan_;
  KvPages pages_;
};

// hidden rows [R, E] -> logits [R, V] float32.
class LogitsStep final : public mx::Primitive {
 public:
  LogitsStep(mx::Stream stream, std::shared_ptr<CudaForward> owner)
      : Primitive(stream), owner_(std::move(owner)) {}

  void eval_cpu(const std::vector<mx::array>&, std::vector<mx::array>&) override {
    throw std::logic_error("[cuda_forward] runs on a GPU only");
  }
  void eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override;
  const char* name() const override { return "CudaLogits"; }

 private:
  std::shared_ptr<CudaForward> owner_;
};

std::vector<PoolView> view_pages(const KvPages& pages) {
  std::vector<PoolView> views;
  for (const KvLayer& layer : pages.layers) {
    const auto address = [](const mx::array& x) {
      return reinterpret_cast<void*>(device_address(x));
    };
    views.push_back(
        {.keys = address(layer.keys),
         .values = address(layer.values),
         .key_scales = layer.key_scales ? static_cast<float*>(address(*layer.key_scales)) : nullptr,
         .value_scales =
             layer.value_scales ? static_cast<float*>(address(*layer.value_scales)) : nullptr,
         .group = layer.group,
         .page_size = pages.shape.page_size,
         .is_int8 = layer.is_quantized()}
    );
  }
  return views;
}

class CudaForward final : public GpuForward, public std::enable_shared_from_this<CudaForward> {
 public:
  CudaForward(std::shared_ptr<Context> context, DecoderParts parts, mx::Dtype dtype)
      : context_(context),
        pool_(std::make_shared<ArrayPool>(context)),
        decoder_(std::move(context), std::move(parts)),
        dtype_(dtype) {
    for (auto& slot : slots_) slot = std::make_unique<StagingSlot>(context_->driver());
    context_->driver().check(
        context_->driver().stream_create(&capture_stream_, CU_STREAM_NON_BLOCKING),
        "creating a stream"
    );
  }
  ~CudaForward() override { context_->driver().stream_destroy(capture_stream_); }

  mx::array forward(const mx::array& tokens, const BatchView& batch, KvPages& pages) override {
    StepPlan plan = make_step_plan(batch);
    std::vector<mx::array> inputs{mx::contiguous(tokens), pages.layers.back().keys};
    for (const mx::array& x : pages.arrays()) {
      if (!x.is_available()) inputs.push_back(x);
    }
    const int num_rows = plan.num_tokens;
    const mx::array& keys = pages.layers.back().keys;
    std::vector<mx::array> outputs = mx::array::make_arrays(
        {{num_rows, decoder_.parts().hidden_size}, keys.shape()},
        {dtype_, keys.dtype()},
        std::make_shared<ForwardStep>(
            mx::to_stream({}), shared_from_this(), std::move(plan), pages
        ),
        inputs
    );
    pages.layers.back().keys = outputs[1];
    return outputs[0];
  }

  mx::array logits(const mx::array& hidden_rows) override {
    return mx::array::make_arrays(
        {{hidden_rows.shape(0), decoder_.parts().output.num_outputs}},
        {mx::float32},
        std::make_shared<LogitsStep>(mx::to_stream({}), shared_from_this()),
        {mx::contiguous(hidden_rows)}
    )[0];
  }

  mx::allocator::Data allocate(std::size_t num_bytes) override {
    return ArrayPool::array_data(pool_, num_bytes);
  }

  bool supports(mx::Dtype kv_dtype) const override {
    return kv_dtype == dtype_ || kv_dtype == mx::int8;
  }

  void run(
      const StepPlan& plan,
      CUdeviceptr tokens,
      const KvPages& pages,
      CUdeviceptr out,
      CUstream stream
  ) {
    const Driver& driver = context_->driver();
    Workspace& workspace = workspace_for(plan, stream);
    const std::size_t num_bytes = plan.integers.size() * sizeof(std::int32_t);
    DeviceBuffer& integers = plan.is_decode ? decode_integers_ : integers_;
    std::size_t& size = plan.is_decode ? decode_integers_size_ : integers_size_;
    if (num_bytes > size) {
      driver.check(driver.stream_synchronize(stream), "waiting for the device");
      replays_.clear();  // their addresses are about to go
      integers = context_->allocate(2 * num_bytes);
      size = 2 * num_bytes;
    }
    next_slot_ = (next_slot_ + 1) % slots_.size();
    slots_[next_slot_]->copy(plan.integers, integers.address(), stream);
    driver.check(
        driver.copy_on_device(
            workspace.tokens.address(),
            tokens,
            static_cast<std::size_t>(plan.num_tokens) * sizeof(std::int32_t),
            stream
        ),
        "copying tokens"
    );
    const Replay* replay =
        plan.is_decode ? replay_for(plan, integers.as<int>(), pages, workspace) : nullptr;
    if (replay != nullptr) {
      replay->launch(stream);
    } else {
      decoder_.enqueue(plan, integers.as<int>(), view_pages(pages), workspace, stream);
    }
    driver.check(
        driver.copy_on_device(
            out,
            workspace.hidden.address(),
            static_cast<std::size_t>(plan.num_tokens) *
                static_cast<std::size_t>(decoder_.parts().hidden_size) * 2,
            stream
        ),
        "copying hidden rows"
    );
  }

  void run_logits(CUdeviceptr hidden, int num_rows, CUdeviceptr out, CUstream stream) {
    if (!logits_workspace_ || logits_workspace_->num_rows < num_rows) {
      context_->driver().check(
          context_->driver().stream_synchronize(stream), "waiting for the device"
      );
      logits_workspace_.reset();
      logits_workspace_ = std::make_unique<Workspace>(
          *context_, decoder_.parts(), std::max(kLogitRows, 2 * num_rows)
      );
    }
    decoder_.enqueue_logits(
        reinterpret_cast<const void*>(hidden),
        num_rows,
        reinterpret_cast<float*>(out),
        *logits_workspace_,
        stream
    );
  }

  [[nodiscard]] const std::shared_ptr<ArrayPool>& pool() const { return pool_; }

 private:
  // Rows, pages a sequence, and the pool that the addresses are of.
  using ReplayKey = std::tuple<int, int, CUdeviceptr, CUdeviceptr>;

  // A replay's addresses must stay, so decode steps have a workspace of their own, which never
  // grows.
  Workspace& workspace_for(const StepPlan& plan, CUstream stream) {
    std::unique_ptr<Workspace>& workspace = plan.is_decode ? decode_workspace_ : workspace_;
    const int num_rows = plan.layout.num_rows;
    if (workspace && workspace->num_rows >= num_rows) return *workspace;
    context_->driver().check(
        context_->driver().stream_synchronize(stream), "waiting for the device"
    );
    workspace.reset();
    workspace = std::make_unique<Workspace>(
        *context_, decoder_.parts(), plan.is_decode ? kMaxDecodeRows : num_rows
    );
    return *workspace;
  }

  // RETURNS: nullptr for a step of its kind that is the first: it is launched one by one, so that
  // what is compiled or loaded at a first launch is there when the second is captured.
  const Replay* replay_for(
      const StepPlan& plan, const int* integers, const KvPages& pages, const Workspace& workspace
  ) {
    const ReplayKey key{
        plan.layout.num_rows,
        plan.layout.page_stride,
        device_address(pages.layers.front().keys),
        device_address(pages.layers.back().values)
    };
    const auto [known, is_first] = replays_.try_emplace(key);
    if (is_first) return nullptr;
    if (known->second == nullptr) known->second = capture(plan, integers, pages, workspace);
    return known->second.get();
  }

  std::unique_ptr<Replay> capture(
      const StepPlan& plan, const int* integers, const KvPages& pages, const Workspace& workspace
  ) {
    const Driver& driver = context_->driver();
    driver.check(
        driver.begin_capture(capture_stream_, CU_STREAM_CAPTURE_MODE_RELAXED), "capturing a step"
    );
    CUgraph graph = nullptr;
    try {
      decoder_.enqueue(plan, integers, view_pages(pages), workspace, capture_stream_);
    } catch (...) {
      if (driver.end_capture(capture_stream_, &graph) == CUDA_SUCCESS && graph != nullptr)
        driver.graph_destroy(graph);
      throw;
    }
    driver.check(driver.end_capture(capture_stream_, &graph), "capturing a step");
    return std::make_unique<Replay>(driver, graph);
  }

  std::shared_ptr<Context> context_;
  std::shared_ptr<ArrayPool> pool_;
  Decoder decoder_;
  mx::Dtype dtype_;
  CUstream capture_stream_ = nullptr;
  std::array<std::unique_ptr<StagingSlot>, 4> slots_;
  std::size_t next_slot_ = 0;
  std::unique_ptr<Workspace> workspace_, decode_workspace_, logits_workspace_;
  DeviceBuffer integers_, decode_integers_;
  std::size_t integers_size_ = 0;
  std::size_t decode_integers_size_ = 0;
  std::map<ReplayKey, std::unique_ptr<Replay>> replays_;
};

// What MLX has recorded goes to the stream first.
CUstream stream_of(const mx::Stream& stream) {
  mx::cu::CommandEncoder& encoder = mx::cu::get_command_encoder(stream);
  encoder.device().make_current();
  encoder.commit();
  return static_cast<cudaStream_t>(encoder.stream());
}

void ForwardStep::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const CUstream on = stream_of(stream());
  outputs[0].set_data(ArrayPool::array_data(owner_->pool(), outputs[0].nbytes()));
  outputs[1].copy_shared_buffer(inputs[1]);
  owner_->run(plan_, device_address(inputs[0]), pages_, device_address(outputs[0]), on);
}

void LogitsStep::eval_gpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  const CUstream on = stream_of(stream());
  outputs[0].set_data(ArrayPool::array_data(owner_->pool(), outputs[0].nbytes()));
  owner_->run_logits(device_address(inputs[0]), inputs[0].shape(0), device_address(outputs[0]), on);
}

bool is_supported_model(const GpuForwardParts& parts) {
  const bool is_half = parts.dtype == mx::bfloat16 || parts.dtype == mx::float16;
  if (!is_half || parts.layers.empty() || parts.final_norm.dtype() != parts.dtype) return false;
  if (!is_supported(parts.embedding, parts.dtype)) return false;
  if (parts.output && !is_supported(*parts.output, parts.dtype)) return false;
  return std::ranges::all_of(parts.layers, [&parts](const DecoderLayer& layer) {
    return is_supported(layer, parts.dtype);
  });
}

}  // namespace
}  // namespace mlxs::cuda

namespace mlxs {

std::shared_ptr<GpuForward> make_gpu_forward(const GpuForwardParts& parts) {
  if (!cuda::is_supported_model(parts)) return nullptr;
  auto context = std::make_shared<cuda::Context>();
  const cuda::Matrix embedding = cuda::device_matrix(parts.embedding);
  cuda::DecoderParts decoder{
      .embedding = embedding,
      .output = parts.output ? cuda::device_matrix(*parts.output) : embedding,
      .final_norm = parts.final_norm,
      .layers = {},
      .ropes = parts.ropes,
      .norm_eps = parts.norm_eps,
      .embedding_scale = parts.embedding_scale,
      .is_float16 = parts.dtype == mx::float16,
      .hidden_size = parts.final_norm.shape(0)
  };
  for (DecoderLayer& layer : parts.layers) {
    decoder.layers.push_back(cuda::join_layer(layer));
    mx::clear_cache();  // of the parts, which the pool of pages needs
  }
  return std::make_shared<cuda::CudaForward>(std::move(context), std::move(decoder), parts.dtype);
}

}  // namespace mlxs
