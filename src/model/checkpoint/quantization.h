// MLX's affine quantization as a checkpoint's configuration declares it: one layout for the model
// and overrides by module path. Other schemes (mxfp4, gptq, awq ...) are refused by name.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mlxs {

struct Quantization {
  int bits = 0;        // 2, 3, 4, 6 or 8
  int group_size = 0;  // 32, 64 or 128
};

class QuantizationTable {
 public:
  QuantizationTable() = default;

  // Reads "quantization" (mlx-lm), or "quantization_config" when it is a copy of it.
  // ERRORS: unsupported_model for another scheme, bit width or group size; invalid_model for a
  // wrong type. `where` is the file to name.
  QuantizationTable(const boost::json::object& config, std::string_view where);

  // RETURNS: the layout declared for a module ("model.layers.0.mlp.up_proj"); nothing when it is
  // not quantized.
  [[nodiscard]] std::optional<Quantization> find(std::string_view module) const;

 private:
  std::optional<Quantization> default_;
  std::map<std::string, std::optional<Quantization>, std::less<>> overrides_;
};

}  // namespace mlxs
