// The header of one safetensors file, validated: names, types, shapes and byte ranges that tile the
// data exactly. Stricter than the format where readers disagree: no unknown members, no duplicate
// keys, rank at most 8.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {

inline constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own limit
inline constexpr std::size_t kMaxTensorRank = 8;
inline constexpr std::size_t kMaxTensors = std::size_t{1} << 17;

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;  // "__metadata__"
  std::vector<TensorInfo> tensors;              // by offset; TensorInfo::file is 0
};

// ERRORS: invalid_model naming the file and the tensor; unsupported_model for a type that the
// format does not know.
[[nodiscard]] SafetensorsHeader read_safetensors_header(const ByteSource& source);

}  // namespace mlxs
