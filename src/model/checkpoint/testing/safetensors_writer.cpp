// The writer; it checks nothing, so that tests can write what is wrong.
#include "model/checkpoint/testing/safetensors_writer.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/testing/gguf_writer.h"

namespace mlxs::testing {

std::string write_safetensors(
    std::string_view header, std::string_view contents, std::optional<std::uint64_t> length
) {
  return raw(length.value_or(header.size())).append(header).append(contents);
}

std::string write_safetensors(const std::vector<SafetensorsSpec>& tensors) {
  std::string header = R"({"__metadata__":{"format":"mlx"})";
  std::uint64_t offset = 0;
  for (const SafetensorsSpec& tensor : tensors) {
    header += fmt::format(
        R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
        tensor.name,
        tensor.dtype,
        fmt::join(tensor.shape, ","),
        offset,
        offset + tensor.num_bytes
    );
    offset += tensor.num_bytes;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return write_safetensors(header, std::string(offset, '\0'));
}

std::vector<SafetensorsSpec> small_safetensors() {
  return {
      {"model.embed_tokens.weight", "F32", {8, 64}, 2048},
      {"model.norm.weight", "BF16", {64}, 128},
      {"model.layers.0.mlp.up_proj.weight", "U32", {96, 8}, 3072},
      {"model.layers.0.mlp.up_proj.scales", "F16", {96, 1}, 192},
      {"model.layers.0.mlp.up_proj.biases", "F16", {96, 1}, 192},
      {"model.layers.0.empty", "F32", {0, 4}, 0},
      {"model.layers.0.scalar", "I64", {}, 8},
  };
}

}  // namespace mlxs::testing
