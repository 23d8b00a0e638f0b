// The launches of one forward pass on a stream: what a step's kernels are and in which order.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/context.h"
#include "kernels/cuda/kernel_params.h"
#include "kernels/cuda/layer_weights.h"
#include "kernels/cuda/products.h"
#include "kernels/cuda/step_plan.h"
#include "kernels/cuda/workspace.h"
#include "kernels/layer_spec.h"

namespace mlxs::cuda {

// A layer's part of the pool, by address.
struct PoolView {
  void* keys = nullptr;
  void* values = nullptr;
  float* key_scales = nullptr;
  float* value_scales = nullptr;
  int group = 0;
  int page_size = 0;
  bool is_int8 = false;
};

// Thread safety: none.
class Decoder {
 public:
  Decoder(std::shared_ptr<Context> context, DecoderParts parts);

  // Launches everything between the tokens in workspace.tokens and workspace.hidden.
  // `plan` lies at `integers` on the device.
  void enqueue(
      const StepPlan& plan,
      const int* integers,
      const std::vector<PoolView>& pools,
      const Workspace& workspace,
      CUstream stream
  );

  // hidden [R, E] -> logits [R, V] float32.
  void enqueue_logits(
      const void* hidden, int num_rows, float* logits, const Workspace& workspace, CUstream stream
  );

  [[nodiscard]] const DecoderParts& parts() const { return parts_; }

 private:
  struct Pass;  // what one enqueue() hands around

  [[nodiscard]] std::vector<std::pair<std::string, int>> half_define() const;
  [[nodiscard]] ProgramRequest attention_program(
      const char* name, const AttentionSpec& spec, const PoolView& pool
  ) const;
  [[nodiscard]] CUfunction row_kernel(const char* name);

  void linear(const Pass& pass, const Matrix& matrix, const void* x, void* out, Finish finish);
  void norm(const Pass& pass, const NormParams& params);
  void attention(const Pass& pass, std::size_t layer);
  void layer(const Pass& pass, std::size_t index, const void*& pending_norm);
  void rope_tables(const Pass& pass);

  std::shared_ptr<Context> context_;
  DecoderParts parts_;
  Products products_;
  std::vector<DeviceBuffer> frequencies_, long_frequencies_;
};

}  // namespace mlxs::cuda
