// Tables of GGUF's types. Types that no file may store (Q8_1, Q8_K) and removed ids are left out on
// purpose.
#include "model/checkpoint/gguf_layout.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/checked.h"
#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {
namespace {

constexpr std::array kTensorTypes = {
    GgufTensorType{0, "F32", TensorType::f32, 1, 4},
    GgufTensorType{1, "F16", TensorType::f16, 1, 2},
    GgufTensorType{2, "Q4_0", TensorType::q4_0, 32, 18},
    GgufTensorType{3, "Q4_1", TensorType::q4_1, 32, 20},
    GgufTensorType{6, "Q5_0", TensorType::other, 32, 22},
    GgufTensorType{7, "Q5_1", TensorType::other, 32, 24},
    GgufTensorType{8, "Q8_0", TensorType::q8_0, 32, 34},
    GgufTensorType{10, "Q2_K", TensorType::other, 256, 84},
    GgufTensorType{11, "Q3_K", TensorType::other, 256, 110},
    GgufTensorType{12, "Q4_K", TensorType::other, 256, 144},
    GgufTensorType{13, "Q5_K", TensorType::other, 256, 176},
    GgufTensorType{14, "Q6_K", TensorType::other, 256, 210},
    GgufTensorType{16, "IQ2_XXS", TensorType::other, 256, 66},
    GgufTensorType{17, "IQ2_XS", TensorType::other, 256, 74},
    GgufTensorType{18, "IQ3_XXS", TensorType::other, 256, 98},
    GgufTensorType{19, "IQ1_S", TensorType::other, 256, 50},
    GgufTensorType{20, "IQ4_NL", TensorType::other, 32, 18},
    GgufTensorType{21, "IQ3_S", TensorType::other, 256, 110},
    GgufTensorType{22, "IQ2_S", TensorType::other, 256, 82},
    GgufTensorType{23, "IQ4_XS", TensorType::other, 256, 136},
    GgufTensorType{24, "I8", TensorType::i8, 1, 1},
    GgufTensorType{25, "I16", TensorType::i16, 1, 2},
    GgufTensorType{26, "I32", TensorType::i32, 1, 4},
    GgufTensorType{27, "I64", TensorType::i64, 1, 8},
    GgufTensorType{28, "F64", TensorType::f64, 1, 8},
    GgufTensorType{29, "IQ1_M", TensorType::other, 256, 56},
    GgufTensorType{30, "BF16", TensorType::bf16, 1, 2},
    GgufTensorType{34, "TQ1_0", TensorType::other, 256, 54},
    GgufTensorType{35, "TQ2_0", TensorType::other, 256, 66},
    GgufTensorType{39, "MXFP4", TensorType::other, 32, 17},
    GgufTensorType{40, "NVFP4", TensorType::other, 64, 36},
};

struct ValueType {
  std::string_view name;
  std::uint64_t min_bytes;
};

// Indexed by GgufType.
constexpr std::array kValueTypes = {
    ValueType{"u8", 1},
    ValueType{"i8", 1},
    ValueType{"u16", 2},
    ValueType{"i16", 2},
    ValueType{"u32", 4},
    ValueType{"i32", 4},
    ValueType{"f32", 4},
    ValueType{"boolean", 1},
    ValueType{"string", 8},
    ValueType{"array", 1},
    ValueType{"u64", 8},
    ValueType{"i64", 8},
    ValueType{"f64", 8},
};

}  // namespace

const GgufTensorType* find_gguf_tensor_type(std::uint32_t id) {
  const auto* row =
      std::find_if(kTensorTypes.begin(), kTensorTypes.end(), [&](const GgufTensorType& type) {
        return type.id == id;
      });
  return row == kTensorTypes.end() ? nullptr : row;
}

std::optional<std::uint64_t> gguf_tensor_bytes(
    const GgufTensorType& type, std::span<const std::int64_t> shape
) {
  std::optional<std::int64_t> num_elements = 1;
  for (const std::int64_t size : shape) {
    num_elements = num_elements ? checked_mul(*num_elements, size) : num_elements;
  }
  if (!num_elements || shape.empty()) return std::nullopt;
  if (static_cast<std::uint64_t>(shape.back()) % type.block_elements != 0) return std::nullopt;
  return checked_mul(
      static_cast<std::uint64_t>(*num_elements) / type.block_elements, type.block_bytes
  );
}

std::uint64_t gguf_min_value_bytes(GgufType type) {
  return kValueTypes.at(static_cast<std::size_t>(type)).min_bytes;
}

std::string_view gguf_value_type_name(GgufType type) {
  return kValueTypes.at(static_cast<std::size_t>(type)).name;
}

}  // namespace mlxs
