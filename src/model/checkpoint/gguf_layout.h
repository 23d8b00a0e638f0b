// The fixed tables of GGUF: sizes of metadata values and of tensor types, as the format defines
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {

inline constexpr std::uint64_t kMaxGgufStringBytes = std::uint64_t{16} << 20;

struct GgufTensorType {
  std::uint32_t id;
  std::string_view name;
  TensorType type;
  std::uint64_t block_elements;
  std::uint64_t block_bytes;
};

// RETURNS: the row of a type id, or nullptr for an id that no stored tensor has.
[[nodiscard]] const GgufTensorType* find_gguf_tensor_type(std::uint32_t id);

// RETURNS: the bytes of a tensor; nothing on overflow or when its rows are no multiple of a block.
[[nodiscard]] std::optional<std::uint64_t> gguf_tensor_bytes(
    const GgufTensorType& type, std::span<const std::int64_t> shape
);

// RETURNS: the bytes of a value of fixed size; the length prefix of a string; 1 for an array.
[[nodiscard]] std::uint64_t gguf_min_value_bytes(GgufType type);

// RETURNS: "u32", "string" ...
[[nodiscard]] std::string_view gguf_value_type_name(GgufType type);

}  // namespace mlxs
