// Writes small safetensors files for tests: any header text before any data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs::testing {

// RETURNS: the length (the header's own unless one is given), the header and the data.
[[nodiscard]] std::string write_safetensors(
    std::string_view header,
    std::string_view contents,
    std::optional<std::uint64_t> length = std::nullopt
);

struct SafetensorsSpec {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t num_bytes = 0;
};

// RETURNS: a sound file with these tensors in this order and zeros for contents.
[[nodiscard]] std::string write_safetensors(const std::vector<SafetensorsSpec>& tensors);

// RETURNS: the tensors of a small llama in F32, BF16, F16 and MLX's 4-bit layout.
[[nodiscard]] std::vector<SafetensorsSpec> small_safetensors();

}  // namespace mlxs::testing
