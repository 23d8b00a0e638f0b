// The row order of tensors whose heads are stored for an interleaved rotation. It moves no bytes.
#include "model/checkpoint/tensor_info.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/checkpoint/file_error.h"

namespace mlxs {

std::vector<std::int64_t> stored_row_order(const TensorInfo& tensor) {
  if (tensor.interleaved_heads <= 0) return {};
  const std::int64_t num_heads = tensor.interleaved_heads;
  const std::int64_t num_rows = tensor.shape.empty() ? 0 : tensor.shape.front();
  if (num_rows <= 0 || num_rows % (2 * num_heads) != 0) {
    throw invalid_model(
        "tensor " + quote_for_message(tensor.name),
        "{} rows cannot be split into {} heads of even size",
        num_rows,
        num_heads
    );
  }
  const std::int64_t head_dim = num_rows / num_heads;
  const std::int64_t half_dim = head_dim / 2;
  std::vector<std::int64_t> order;
  order.reserve(static_cast<std::size_t>(num_rows));
  for (std::int64_t row = 0; row < num_rows; ++row) {
    const std::int64_t in_head = row % head_dim;
    order.push_back(row - in_head + 2 * (in_head % half_dim) + in_head / half_dim);
  }
  return order;
}

}  // namespace mlxs
