// Any bytes as config.json: the strict parser, the quantization table and the families throw our
// own error or give a description.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mlx_serving/error.h"
#include "model/checkpoint/json_file.h"
#include "model/checkpoint/quantization.h"
#include "model/families/families.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), num_bytes);
  try {
    const mlxs::json::object config = mlxs::parse_json_object(text, "config.json");
    const mlxs::QuantizationTable quantization(config, "config.json");
    const mlxs::ModelSpec spec = mlxs::make_model_spec(config);
    if (spec.layers.empty() || spec.hidden_size <= 0) std::abort();
    (void)quantization.find(spec.layers.front().names.q);
  } catch (const mlxs::Error& error) {
    if (error.code() == mlxs::ErrorCode::engine_error) std::abort();
  }
  return 0;
}
