// Reading into MLX buffers; sizes are taken from headers that the checkpoint has validated against
// the file's size.
#include "model/tensor_loader.h"

#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_blocks.h"

namespace mlxs {
namespace {

constexpr std::size_t kStagingBytes = std::size_t{4} << 20;

// An array that is to be filled by the host.
struct HostArray {
  mx::array array;
  std::span<std::byte> bytes;
};

HostArray allocate(std::int64_t num_rows, std::int64_t num_columns, mx::Dtype dtype) {
  // Both extents come from the model's description, which holds ints.
  const mx::Shape shape{static_cast<int>(num_rows), static_cast<int>(num_columns)};
  const std::size_t num_bytes = static_cast<std::size_t>(num_rows) *
                                static_cast<std::size_t>(num_columns) * mx::size_of(dtype);
  mx::allocator::Data data = mx::allocator::malloc(num_bytes);
  if (num_bytes > 0 && data.buffer().ptr() == nullptr) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format(
            "[load] {} bytes could not be allocated for a weight; use a smaller model", num_bytes
        )
    );
  }
  mx::array result(std::move(data), shape, dtype);
  std::byte* first = result.data<std::byte>();
  return {.array = std::move(result), .bytes = {first, num_bytes}};
}

template <typename T>
std::span<T> as_span(std::span<std::byte> bytes) {
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::size_t bytes_per_row(const TensorInfo& tensor) {
  return static_cast<std::size_t>(tensor.num_bytes) /
         static_cast<std::size_t>(std::max<std::int64_t>(tensor.shape[0], 1));
}

// Converts and lets go of the original at once.
mx::array converted(mx::array x, mx::Dtype dtype) {
  if (x.dtype() == dtype) return x;
  mx::array result = mx::astype(std::move(x), dtype);
  result.eval();
  return result;
}

}  // namespace

mx::Dtype float_dtype(TensorType type) {
  switch (type) {
    case TensorType::f16:
      return mx::float16;
    case TensorType::bf16:
      return mx::bfloat16;
    default:
      return mx::float32;
  }
}

const TensorInfo& TensorLoader::checked_tensor(
    const std::string& name, std::span<const std::int64_t> shape
) const {
  const TensorInfo& tensor = checkpoint_.at(name);
  if (!std::ranges::equal(tensor.shape, shape)) {
    throw invalid_model(
        checkpoint_.path(),
        "tensor {} has the shape [{}], the configuration asks for [{}]",
        quote_for_message(name),
        fmt::join(tensor.shape, ", "),
        fmt::join(shape, ", ")
    );
  }
  return tensor;
}

void TensorLoader::check_float(const TensorInfo& tensor) const {
  if (is_float(tensor.type)) return;
  throw unsupported_model(
      checkpoint_.path(),
      "tensor {} has the type {}; F32, F16 and BF16 can be loaded here",
      quote_for_message(tensor.name),
      tensor.type_name
  );
}

void TensorLoader::note_progress(std::size_t num_bytes) {
  num_bytes_read_ += static_cast<std::int64_t>(num_bytes);
  if (progress_)
    progress_(num_bytes_read_, static_cast<std::int64_t>(checkpoint_.total_tensor_bytes()));
}

// Rows in Hugging Face's order, whatever order they are stored in.
void TensorLoader::read_rows(
    const TensorInfo& tensor,
    std::int64_t first_row,
    std::int64_t num_rows,
    std::span<std::byte> out
) {
  const std::size_t row_bytes = bytes_per_row(tensor);
  const std::vector<std::int64_t> order = stored_row_order(tensor);
  if (order.empty()) {
    checkpoint_.read_part(tensor, static_cast<std::uint64_t>(first_row) * row_bytes, out);
  } else {
    for (std::int64_t row = 0; row < num_rows; ++row) {
      const auto stored =
          static_cast<std::uint64_t>(order[static_cast<std::size_t>(first_row + row)]);
      checkpoint_.read_part(
          tensor,
          stored * row_bytes,
          out.subspan(static_cast<std::size_t>(row) * row_bytes, row_bytes)
      );
    }
  }
  note_progress(out.size());
}

mx::array TensorLoader::float_rows(
    const TensorInfo& tensor, std::int64_t first_row, std::int64_t num_rows
) {
  check_float(tensor);
  const std::int64_t num_columns = tensor.shape.size() > 1 ? tensor.shape[1] : 1;
  const HostArray rows = allocate(num_rows, num_columns, float_dtype(tensor.type));
  read_rows(tensor, first_row, num_rows, rows.bytes);
  return rows.array;
}

mx::array TensorLoader::norm_weight(
    const std::string& name, std::int64_t num_values, float addend
) {
  const TensorInfo& tensor = checked_tensor(name + ".weight", std::array{num_values});
  mx::array values = mx::flatten(mx::astype(float_rows(tensor, 0, num_values), mx::float32));
  if (addend != 0.0F) values = values + mx::array(addend);
  mx::array result = mx::astype(values, activations_);
  result.eval();
  return result;
}

mx::array TensorLoader::scale_values(mx::array stored) const {
  return activations_ == mx::float32 ? stored : converted(std::move(stored), activations_);
}

Linear TensorLoader::dense_matrix(const TensorInfo& weight, const MatrixRequest& request) {
  (void)checked_tensor(weight.name, std::array{request.total_rows, request.num_columns});
  return Linear{.weight = float_rows(weight, request.first_row, request.num_rows)};
}

Linear TensorLoader::affine_matrix(const MatrixRequest& request, const Quantization& layout) {
  const std::int64_t num_words = request.num_columns * layout.bits / 32;
  const std::int64_t num_groups = request.num_columns / layout.group_size;
  const TensorInfo& weight =
      checked_tensor(request.module + ".weight", std::array{request.total_rows, num_words});
  const std::array group_shape{request.total_rows, num_groups};
  const TensorInfo& scales = checked_tensor(request.module + ".scales", group_shape);
  const TensorInfo& biases = checked_tensor(request.module + ".biases", group_shape);
  const HostArray words = allocate(request.num_rows, num_words, mx::uint32);
  read_rows(weight, request.first_row, request.num_rows, words.bytes);
  return Linear{
      .weight = words.array,
      .scales = scale_values(float_rows(scales, request.first_row, request.num_rows)),
      .biases = scale_values(float_rows(biases, request.first_row, request.num_rows)),
      .bits = layout.bits,
      .group_size = layout.group_size
  };
}

Linear TensorLoader::block_matrix(const TensorInfo& weight, const MatrixRequest& request) {
  (void)checked_tensor(weight.name, std::array{request.total_rows, request.num_columns});
  const Quantization layout = gguf_block_quantization(weight.type);
  const auto blocks_per_row = static_cast<std::size_t>(request.num_columns) / kGgufBlockElements;
  const HostArray words =
      allocate(request.num_rows, request.num_columns * layout.bits / 32, mx::uint32);
  const auto num_groups = static_cast<std::int64_t>(blocks_per_row);
  const HostArray scales = allocate(request.num_rows, num_groups, mx::float16);
  const HostArray biases = allocate(request.num_rows, num_groups, mx::float16);

  const std::size_t row_bytes = bytes_per_row(weight);
  const auto rows_at_once = static_cast<std::int64_t>(
      std::max<std::size_t>(1, kStagingBytes / std::max<std::size_t>(row_bytes, 1))
  );
  std::vector<std::byte> staging;
  for (std::int64_t row = 0; row < request.num_rows; row += rows_at_once) {
    const std::int64_t num_rows = std::min(rows_at_once, request.num_rows - row);
    staging.resize(static_cast<std::size_t>(num_rows) * row_bytes);
    read_rows(weight, request.first_row + row, num_rows, staging);
    const std::size_t first_block = static_cast<std::size_t>(row) * blocks_per_row;
    const std::size_t num_blocks = static_cast<std::size_t>(num_rows) * blocks_per_row;
    const auto bits = static_cast<std::size_t>(layout.bits);
    const AffineOutput out{
        .weights =
            as_span<std::uint32_t>(words.bytes).subspan(first_block * bits, num_blocks * bits),
        .scales = as_span<std::uint16_t>(scales.bytes).subspan(first_block, num_blocks),
        .biases = as_span<std::uint16_t>(biases.bytes).subspan(first_block, num_blocks)
    };
    repack_gguf_blocks(weight.type, staging, out);
  }
  return Linear{
      .weight = words.array,
      .scales = scale_values(scales.array),
      .biases = scale_values(biases.array),
      .bits = layout.bits,
      .group_size = layout.group_size
  };
}

Linear TensorLoader::matrix(const MatrixRequest& request) {
  const TensorInfo& weight = checkpoint_.at(request.module + ".weight");
  const auto layout = checkpoint_.quantization_of(request.module);
  Linear result = layout                       ? affine_matrix(request, *layout)
                  : is_gguf_block(weight.type) ? block_matrix(weight, request)
                                               : dense_matrix(weight, request);
  const std::string bias_name = request.module + ".bias";
  if (request.has_bias) {
    const TensorInfo& bias = checked_tensor(bias_name, std::array{request.total_rows});
    result.bias =
        converted(mx::flatten(float_rows(bias, request.first_row, request.num_rows)), activations_);
    result.bias->eval();
  } else if (checkpoint_.find(bias_name) != nullptr) {
    throw unsupported_model(
        checkpoint_.path(),
        "tensor {} exists, but this family's configuration declares no such bias",
        quote_for_message(bias_name)
    );
  }
  return result;
}

}  // namespace mlxs
