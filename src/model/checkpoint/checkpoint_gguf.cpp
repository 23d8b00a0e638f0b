// Opening a GGUF file: header, configuration, Hugging Face's names and the rows that llama.cpp's
// converter interleaved.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_config.h"
#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/gguf_names.h"
#include "model/checkpoint/gguf_text.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::int64_t kMaxFactors = 65'536;

std::optional<std::vector<float>> read_factors(
    const ByteSource& file, std::span<const TensorInfo> tensors, std::string_view name
) {
  const auto tensor = std::find_if(tensors.begin(), tensors.end(), [&](const TensorInfo& t) {
    return t.name == name;
  });
  if (tensor == tensors.end()) return std::nullopt;
  if (tensor->type != TensorType::f32 || tensor->shape.size() != 1 ||
      tensor->shape.front() > kMaxFactors) {
    throw invalid_model(file.name(), "tensor {} must be a short vector of F32", name);
  }
  std::vector<float> factors(static_cast<std::size_t>(tensor->shape.front()));
  file.read(tensor->offset, std::as_writable_bytes(std::span(factors)));
  return factors;
}

// The converter interleaves the rows of q and k of the architecture llama only; the others rotate
// by halves as Hugging Face does.
int interleaved_heads(
    const boost::json::object& config, std::string_view architecture, std::string_view name
) {
  if (architecture != "llama") return 0;
  const auto heads = [&](const char* key) {
    return static_cast<int>(config.at(key).to_number<std::int64_t>());
  };
  if (name.find(".self_attn.q_proj.") != std::string_view::npos)
    return heads("num_attention_heads");
  if (name.find(".self_attn.k_proj.") != std::string_view::npos)
    return heads("num_key_value_heads");
  return 0;
}

}  // namespace

Checkpoint Checkpoint::open_gguf_source(std::unique_ptr<ByteSource> source) {
  GgufHeader header = read_gguf_header(*source);
  const std::string architecture = gguf_architecture(header.metadata);
  Checkpoint checkpoint;
  checkpoint.format_ = Format::gguf;
  checkpoint.path_ = source->name();
  checkpoint.config_ = make_gguf_config(header, [&](std::string_view name) {
    return read_factors(*source, header.tensors, name);
  });
  checkpoint.text_ = read_gguf_text(header.metadata);
  for (TensorInfo& tensor : header.tensors) {
    tensor.name = hugging_face_name(architecture, tensor.name);
    tensor.interleaved_heads = interleaved_heads(checkpoint.config_, architecture, tensor.name);
  }
  checkpoint.tensors_ = std::move(header.tensors);
  checkpoint.files_.push_back(std::move(source));
  checkpoint.index_tensors();
  return checkpoint;
}

}  // namespace mlxs
