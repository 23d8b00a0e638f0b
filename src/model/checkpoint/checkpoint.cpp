// What both formats share: look-up by name, reading, and the check of quantized modules. Opening is
// per format.
#include "model/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/quantization.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::string_view kLoadableTypes =
    "F32, F16, BF16, MLX's affine quantization, and GGUF's Q4_0, Q4_1 and Q8_0";

}  // namespace

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  std::error_code ec;
  const bool is_folder = std::filesystem::is_directory(path, ec);
  if (is_folder) return open_folder(path);
  if (path.extension() == ".gguf") return open_gguf_source(std::make_unique<FileSource>(path));
  if (!std::filesystem::exists(path, ec)) {
    throw Error(ErrorCode::invalid_model, fmt::format("{}: no such file or folder", path.string()));
  }
  throw unsupported_model(
      path.string(), "a model is a folder with safetensors files, or a .gguf file"
  );
}

void Checkpoint::index_tensors() {
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.file, a.offset) < std::pair(b.file, b.offset);
  });
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorInfo& tensor = tensors_[i];
    if (!by_name_.emplace(tensor.name, i).second) {
      throw invalid_model(
          files_[tensor.file]->name(), "tensor {} occurs twice", quote_for_message(tensor.name)
      );
    }
    // each lies in its file, so the sum is below the files' sizes
    total_tensor_bytes_ += tensor.num_bytes;
  }
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto entry = by_name_.find(name);
  return entry == by_name_.end() ? nullptr : &tensors_[entry->second];
}

const TensorInfo& Checkpoint::at(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  throw invalid_model(path_, "tensor {} is missing", quote_for_message(name));
}

void Checkpoint::read(const TensorInfo& tensor, std::span<std::byte> out) const {
  if (out.size() != tensor.num_bytes) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format("Checkpoint::read: wrong buffer size for {}", tensor.name)
    );
  }
  read_part(tensor, 0, out);
}

void Checkpoint::read_part(
    const TensorInfo& tensor, std::uint64_t first_byte, std::span<std::byte> out
) const {
  const ByteSource& file = *files_.at(tensor.file);
  if (tensor.type == TensorType::other) {
    throw unsupported_model(
        file.name(),
        "tensor {} has the type {}, which cannot be loaded; those that can are {}",
        quote_for_message(tensor.name),
        tensor.type_name,
        kLoadableTypes
    );
  }
  const auto end = checked_add<std::uint64_t>(first_byte, out.size());
  if (!end || *end > tensor.num_bytes) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format("Checkpoint::read_part: beyond the end of {}", tensor.name)
    );
  }
  file.read(tensor.offset + first_byte, out);
}

std::optional<Quantization> Checkpoint::quantization_of(std::string_view module) const {
  const std::string prefix(module);
  const TensorInfo* scales = find(prefix + ".scales");
  if (scales == nullptr) {
    const TensorInfo* weight = find(prefix + ".weight");
    if (weight == nullptr || weight->type != TensorType::u32) return std::nullopt;
    throw invalid_model(
        path_, "module {} is packed (u32), but its .scales are missing", quote_for_message(module)
    );
  }
  const auto layout = quantization_.find(module);
  if (!layout) {
    throw invalid_model(
        path_,
        "module {} has .scales, but the configuration declares no quantization for it",
        quote_for_message(module)
    );
  }
  check_quantized_module(module, *layout);
  return layout;
}

void Checkpoint::check_quantized_module(std::string_view module, const Quantization& layout) const {
  const std::string prefix(module);
  const TensorInfo& weight = at(prefix + ".weight");
  const TensorInfo& scales = at(prefix + ".scales");
  const TensorInfo& biases = at(prefix + ".biases");
  const auto wrong = [&](std::string_view what) {
    return invalid_model(path_, "quantized module {}: {}", quote_for_message(module), what);
  };
  if (weight.type != TensorType::u32)
    throw wrong(fmt::format(".weight is {}, it must be U32", weight.type_name));
  if (!is_float(scales.type) || scales.type != biases.type)
    throw wrong(".scales and .biases must be of one float type");
  if (weight.shape.size() != 2 || scales.shape.size() != 2 || scales.shape != biases.shape) {
    throw wrong(".weight, .scales and .biases must be matrices, the last two of one shape");
  }
  const auto packed_bits = checked_mul<std::int64_t>(weight.shape[1], 32);
  const auto num_columns = checked_mul<std::int64_t>(scales.shape[1], layout.group_size);
  const auto needed_bits =
      num_columns ? checked_mul<std::int64_t>(*num_columns, layout.bits) : std::nullopt;
  if (!packed_bits || !needed_bits || *packed_bits != *needed_bits ||
      weight.shape[0] != scales.shape[0]) {
    throw wrong(fmt::format(
        ".weight [{}, {}] and .scales [{}, {}] do not fit {} bits in groups of {}",
        weight.shape[0],
        weight.shape[1],
        scales.shape[0],
        scales.shape[1],
        layout.bits,
        layout.group_size
    ));
  }
}

}  // namespace mlxs
