// A step's matrix products: which kernel multiplies how many rows, and its launches.
#pragma once

#include <cuda.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/context.h"
#include "kernels/cuda/kernel_params.h"
#include "kernels/cuda/layer_weights.h"

namespace mlxs::cuda {

// What happens to a sum: stored, added to `out`, the gate of an MLP whose two projections lie
// beside each other, or stored as float32.
enum class Finish { store, residual, gated, store_float };

// What products of at most num_rows rows write on their way. Addresses do not change.
struct ProductSpace {
  ProductSpace() = default;
  // width: columns of the widest x; gated_width: outputs of the widest gated product.
  ProductSpace(const Context& context, int num_rows, int width, int gated_width);

  DeviceBuffer gated, ordered, partials, arrivals;
};

struct ProductJob {
  const Matrix& matrix;
  const void* x;  // [R, K] half
  void* out;      // [R, N] half or float32; gated: [R, N / 2]
  int num_rows;
  Finish finish;
  int activation = 0;  // gated: as LinearParams has it
};

// Thread safety: none.
class Products {
 public:
  // has_quantized: whether any matrix is.
  Products(std::shared_ptr<Context> context, bool is_float16, bool has_quantized);

  void enqueue(const ProductJob& job, const ProductSpace& space, CUstream stream);

 private:
  [[nodiscard]] ProgramRequest program(const char* name, const Matrix& matrix) const;
  [[nodiscard]] ProgramRequest row_program() const;
  void streamed(const ProductJob& job, CUstream stream);
  void wide(const ProductJob& job, const ProductSpace& space, CUstream stream);
  void many_rows(const ProductJob& job, const ProductSpace& space, CUstream stream);
  void multiply_expanded(const Matrix& matrix, Context::Product product, CUstream stream);
  void add_bias(const ProductJob& job, void* out, CUstream stream);
  void gate(const ProductJob& job, const void* gate_up, CUstream stream);

  std::shared_ptr<Context> context_;
  bool is_float16_;
  DeviceBuffer expanded_;  // a part of a quantized matrix, dense
};

}  // namespace mlxs::cuda
