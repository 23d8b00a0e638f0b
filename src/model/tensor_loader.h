// Reads the tensors of a checkpoint straight into MLX buffers, row range by row range, with shape
// and type checked against what the model's description asks for. It does not know which tensors a
// model has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "kernels/linear/linear.h"
#include "kernels/mx.h"
#include "mlx_serving/config.h"
#include "model/checkpoint/checkpoint.h"
#include "model/weight_source.h"

namespace mlxs {

// At any time at most one tensor exists twice, and of it only the small parts (scales, biases,
// norms, a few rows of blocks). ERRORS of all members: invalid_model naming the tensor and the file
// for a missing tensor or a wrong shape; unsupported_model for a type that cannot be loaded;
// engine_error when memory runs out.
class TensorLoader final : public WeightSource {
 public:
  // `activations` is the dtype that the model computes in. `progress` may be empty. The checkpoint
  // must outlive this.
  TensorLoader(const Checkpoint& checkpoint, mx::Dtype activations, const LoadProgress& progress)
      : checkpoint_(checkpoint), activations_(activations), progress_(progress) {}

  // RETURNS: dense weights in their stored type; quantized ones with scales and biases in the type
  // of the activations, as MLX would convert them at each call otherwise, or in their stored type
  // where activations are float32 and the CPU's kernels take any; the bias in the type of the
  // activations. An undeclared bias in the checkpoint is refused: ignoring it would give a
  // silently different model.
  [[nodiscard]] Linear matrix(const MatrixRequest& request) override;

  // RETURNS: `name`.weight [num_values] + `addend` in the type of the activations. The sum is
  // computed in float32.
  [[nodiscard]] mx::array norm_weight(
      const std::string& name, std::int64_t num_values, float addend
  ) override;

  [[nodiscard]] std::int64_t num_bytes_read() const { return num_bytes_read_; }

 private:
  const TensorInfo& checked_tensor(const std::string& name, std::span<const std::int64_t> shape)
      const;
  void check_float(const TensorInfo& tensor) const;
  void read_rows(
      const TensorInfo& tensor,
      std::int64_t first_row,
      std::int64_t num_rows,
      std::span<std::byte> out
  );
  [[nodiscard]] mx::array scale_values(mx::array stored) const;
  mx::array float_rows(const TensorInfo& tensor, std::int64_t first_row, std::int64_t num_rows);
  Linear dense_matrix(const TensorInfo& weight, const MatrixRequest& request);
  Linear affine_matrix(const MatrixRequest& request, const Quantization& layout);
  Linear block_matrix(const TensorInfo& weight, const MatrixRequest& request);
  void note_progress(std::size_t num_bytes);

  const Checkpoint& checkpoint_;
  mx::Dtype activations_;
  const LoadProgress& progress_;
  std::int64_t num_bytes_read_ = 0;
};

// RETURNS: the MLX type of a float tensor. REQUIRES: is_float(type).
[[nodiscard]] mx::Dtype float_dtype(TensorType type);

}  // namespace mlxs
