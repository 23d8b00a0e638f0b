// A model on disk: a folder of safetensors (Hugging Face or mlx-lm layout) or one GGUF file, behind
// one face with Hugging Face's names. Every header is validated here before a byte of a tensor is
// read, and MLX's own loaders are never used; it does not know what a family needs and makes no
// arrays.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/quantization.h"
#include "model/checkpoint/tensor_info.h"
#include "model/checkpoint/text_sources.h"

namespace mlxs {

// THREADS: after open() all members are const and may be called from several threads at once.
class Checkpoint {
 public:
  enum class Format { safetensors, gguf };

  // ERRORS: invalid_model (missing, truncated, inconsistent), unsupported_model (sound, of a kind
  // that is not implemented), io_error. Messages name the file and, where it helps, the byte offset
  // and the tensor.
  [[nodiscard]] static Checkpoint open(const std::filesystem::path& path);

  // Opens a GGUF that lies elsewhere than in a file, for tests and fuzzers. ERRORS: as open().
  [[nodiscard]] static Checkpoint open_gguf_source(std::unique_ptr<ByteSource> source);

  Checkpoint(Checkpoint&&) noexcept = default;
  Checkpoint& operator=(Checkpoint&&) noexcept = default;

  [[nodiscard]] Format format() const { return format_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Hugging Face's config.json, or its equivalent made of a GGUF's metadata. Two keys are ours, and
  // only a GGUF sets them: rope_scaling {"rope_type": "llama3_factors", "factors": [...]} (divisors
  // of each inverse frequency) and "mlxs_norm_weights_folded": true (Gemma's norm weights already
  // contain the + 1).
  [[nodiscard]] const boost::json::object& config() const { return config_; }

  [[nodiscard]] const TextSources& text() const { return text_; }

  // Sorted by file and offset, so that reading them in this order is sequential.
  [[nodiscard]] std::span<const TensorInfo> tensors() const { return tensors_; }

  // RETURNS: the tensor of this Hugging Face name, or nullptr. Valid as long as the checkpoint.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;

  // RETURNS: find(name). ERRORS: invalid_model naming the tensor when it is missing.
  [[nodiscard]] const TensorInfo& at(std::string_view name) const;

  // Reads a tensor as stored: little-endian, row-major, GGUF blocks as blocks.
  // REQUIRES: `tensor` is one of tensors(), out.size() == tensor.num_bytes.
  // ERRORS: unsupported_model for TensorType::other, with the types that can be loaded;
  // invalid_model when the file has shrunk since it was opened.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;

  // Reads a part of a tensor: `out.size()` bytes from `first_byte` of it on. ERRORS: as read().
  void read_part(const TensorInfo& tensor, std::uint64_t first_byte, std::span<std::byte> out)
      const;

  [[nodiscard]] std::uint64_t total_tensor_bytes() const { return total_tensor_bytes_; }

  // MLX's affine layout of a module ("model.layers.0.mlp.up_proj"), which then has the tensors
  // .weight (u32 [N, K*bits/32]), .scales and .biases (float [N, K/group_size]); shapes and types
  // are checked here. RETURNS: nothing when the module is not quantized this way (a float weight,
  // or GGUF blocks). ERRORS: invalid_model when tensors and configuration disagree.
  [[nodiscard]] std::optional<Quantization> quantization_of(std::string_view module) const;

 private:
  Checkpoint() = default;

  static Checkpoint open_folder(const std::filesystem::path& folder);
  void add_shards(const std::filesystem::path& folder);
  void add_safetensors_file(const std::filesystem::path& path);
  void index_tensors();
  void check_quantized_module(std::string_view module, const Quantization& layout) const;

  Format format_ = Format::safetensors;
  std::string path_;
  std::vector<std::unique_ptr<ByteSource>> files_;
  boost::json::object config_;
  TextSources text_;
  QuantizationTable quantization_;
  std::vector<TensorInfo> tensors_;
  // views into tensors_, whose elements never move
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::uint64_t total_tensor_bytes_ = 0;
};

}  // namespace mlxs
