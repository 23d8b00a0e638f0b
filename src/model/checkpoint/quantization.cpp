// Reads the quantization part of config.json. Tensors are checked against it by Checkpoint.
#include "model/checkpoint/quantization.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/json_file.h"

namespace mlxs {
namespace {

constexpr std::array<std::int64_t, 5> kBits = {2, 3, 4, 6, 8};
constexpr std::array<std::int64_t, 3> kGroupSizes = {32, 64, 128};

void check_mode(const json::object& entry, std::string_view where) {
  for (const std::string_view key : {"mode", "quant_method"}) {
    const auto mode = file_string(entry, key, where);
    if (!mode || *mode == "affine") continue;
    throw unsupported_model(
        where,
        "quantization {}; only MLX's affine quantization can be loaded, convert the model with "
        "mlx_lm.convert",
        quote_for_message(*mode)
    );
  }
}

Quantization parse_layout(const json::object& entry, std::string_view where) {
  check_mode(entry, where);
  const auto bits = file_integer(entry, "bits", where);
  const auto group_size = file_integer(entry, "group_size", where);
  if (!bits || !group_size)
    throw invalid_model(where, "a quantization entry lacks bits or group_size");
  if (std::find(kBits.begin(), kBits.end(), *bits) == kBits.end()) {
    throw unsupported_model(
        where, "quantization with {} bits; 2, 3, 4, 6 and 8 can be loaded", *bits
    );
  }
  if (std::find(kGroupSizes.begin(), kGroupSizes.end(), *group_size) == kGroupSizes.end()) {
    throw unsupported_model(
        where, "quantization in groups of {}; 32, 64 and 128 can be loaded", *group_size
    );
  }
  return {.bits = static_cast<int>(*bits), .group_size = static_cast<int>(*group_size)};
}

bool is_layout_key(std::string_view key) {
  return key == "bits" || key == "group_size" || key == "mode" || key == "quant_method";
}

}  // namespace

QuantizationTable::QuantizationTable(const json::object& config, std::string_view where) {
  const json::value* value = file_member(config, "quantization");
  if (value == nullptr) value = file_member(config, "quantization_config");
  if (value == nullptr) return;
  const json::object* entries = value->if_object();
  if (entries == nullptr) throw invalid_model(where, "the field quantization must be an object");
  default_ = parse_layout(*entries, where);
  for (const auto& [key, entry] : *entries) {
    const std::string module(std::string_view(key.data(), key.size()));
    if (is_layout_key(module)) continue;
    if (const bool* is_quantized = entry.if_bool()) {
      overrides_[module] = *is_quantized ? default_ : std::nullopt;
    } else if (const json::object* layout = entry.if_object()) {
      overrides_[module] = parse_layout(*layout, where);
    } else {
      throw unsupported_model(
          where, "the quantization entry {} is not known", quote_for_message(module)
      );
    }
  }
}

std::optional<Quantization> QuantizationTable::find(std::string_view module) const {
  const auto entry = overrides_.find(module);
  return entry == overrides_.end() ? default_ : entry->second;
}

}  // namespace mlxs
