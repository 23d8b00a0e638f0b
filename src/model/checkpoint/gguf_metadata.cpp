// Typed access to GGUF metadata. A value of another type is an error, never a reinterpretation.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/checked.h"
#include "mlx_serving/error.h"
#include "model/checkpoint/file_error.h"
#include "model/checkpoint/gguf_header.h"
#include "model/checkpoint/gguf_layout.h"
#include "model/checkpoint/sequential_reader.h"

namespace mlxs {
namespace {

// Above any vocabulary; bounds what an array becomes in memory.
constexpr std::uint64_t kMaxArrayElements = std::uint64_t{1} << 21;

std::optional<std::int32_t> narrow_element(SequentialReader& reader, GgufType type) {
  switch (type) {
    case GgufType::u8:
      return reader.value<std::uint8_t>();
    case GgufType::i8:
      return reader.value<std::int8_t>();
    case GgufType::u16:
      return reader.value<std::uint16_t>();
    case GgufType::i16:
      return reader.value<std::int16_t>();
    case GgufType::u32:
      return checked_narrow<std::int32_t>(reader.value<std::uint32_t>());
    case GgufType::i32:
      return reader.value<std::int32_t>();
    case GgufType::u64:
      return checked_narrow<std::int32_t>(reader.value<std::uint64_t>());
    case GgufType::i64:
      return checked_narrow<std::int32_t>(reader.value<std::int64_t>());
    default:
      return std::nullopt;
  }
}

bool is_integer(GgufType type) {
  return type != GgufType::f32 && type != GgufType::f64 && type != GgufType::boolean &&
         type != GgufType::string && type != GgufType::array;
}

}  // namespace

std::string gguf_type_name(const GgufValue& value) {
  if (const auto* array = std::get_if<GgufArray>(&value.value)) {
    return fmt::format("array of {}", gguf_value_type_name(array->element_type));
  }
  return std::string(gguf_value_type_name(value.type));
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto entry = values_.find(key);
  return entry == values_.end() ? nullptr : &entry->second;
}

Error GgufMetadata::wrong_type(std::string_view key, std::string_view needed) const {
  const GgufValue* value = find(key);
  return invalid_model(
      file(),
      "key {} has the type {}, it must be {}",
      key,
      value == nullptr ? "nothing" : gguf_type_name(*value),
      needed
  );
}

std::optional<std::uint64_t> GgufMetadata::unsigned_integer(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* number = std::get_if<std::uint64_t>(&value->value)) return *number;
  const auto* number = std::get_if<std::int64_t>(&value->value);
  if (number == nullptr) throw wrong_type(key, "an integer");
  if (*number < 0)
    throw invalid_model(file(), "key {} is {}, it must not be negative", key, *number);
  return static_cast<std::uint64_t>(*number);
}

std::optional<std::int32_t> GgufMetadata::int32(std::string_view key) const {
  const auto number = unsigned_integer(key);
  if (!number) return std::nullopt;
  const auto narrowed = checked_narrow<std::int32_t>(*number);
  if (!narrowed) throw invalid_model(file(), "key {} is {}, the limit is 2147483647", key, *number);
  return narrowed;
}

std::optional<double> GgufMetadata::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* number = std::get_if<double>(&value->value);
  if (number == nullptr) throw wrong_type(key, "a float");
  if (!std::isfinite(*number)) throw invalid_model(file(), "key {} is not finite", key);
  return *number;
}

std::optional<bool> GgufMetadata::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(&value->value)) return *flag;
  throw wrong_type(key, "a boolean");
}

std::optional<std::string> GgufMetadata::string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(&value->value)) return *text;
  throw wrong_type(key, "a string");
}

bool GgufMetadata::is_array(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr && value->type == GgufType::array;
}

const GgufArray* GgufMetadata::find_array(std::string_view key, std::string_view needed) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* array = std::get_if<GgufArray>(&value->value);
  if (array == nullptr) throw wrong_type(key, needed);
  if (array->count > kMaxArrayElements) {
    throw invalid_model(
        file(), "key {} has {} elements, the limit is {}", key, array->count, kMaxArrayElements
    );
  }
  return array;
}

std::optional<std::vector<std::string>> GgufMetadata::strings(std::string_view key) const {
  const GgufArray* array = find_array(key, "an array of strings");
  if (array == nullptr) return std::nullopt;
  if (array->element_type != GgufType::string) throw wrong_type(key, "an array of strings");
  SequentialReader reader(*source_, array->offset);
  std::vector<std::string> result;
  result.reserve(static_cast<std::size_t>(array->count));
  for (std::uint64_t i = 0; i < array->count; ++i)
    result.push_back(reader.text(reader.value<std::uint64_t>()));
  return result;
}

std::optional<std::vector<float>> GgufMetadata::floats(std::string_view key) const {
  const GgufArray* array = find_array(key, "an array of f32");
  if (array == nullptr) return std::nullopt;
  if (array->element_type != GgufType::f32) throw wrong_type(key, "an array of f32");
  SequentialReader reader(*source_, array->offset);
  std::vector<float> result;
  result.reserve(static_cast<std::size_t>(array->count));
  for (std::uint64_t i = 0; i < array->count; ++i) {
    result.push_back(reader.value<float>());
    if (!std::isfinite(result.back()))
      throw invalid_model(file(), "key {} has an element that is not finite", key);
  }
  return result;
}

std::optional<std::vector<std::int32_t>> GgufMetadata::int32s(std::string_view key) const {
  const GgufArray* array = find_array(key, "an array of integers");
  if (array == nullptr) return std::nullopt;
  if (!is_integer(array->element_type)) throw wrong_type(key, "an array of integers");
  SequentialReader reader(*source_, array->offset);
  std::vector<std::int32_t> result;
  result.reserve(static_cast<std::size_t>(array->count));
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto number = narrow_element(reader, array->element_type);
    if (!number)
      throw invalid_model(file(), "key {} has an element that does not fit in 32 bits", key);
    result.push_back(*number);
  }
  return result;
}

std::optional<std::vector<bool>> GgufMetadata::booleans(std::string_view key) const {
  const GgufArray* array = find_array(key, "an array of booleans");
  if (array == nullptr) return std::nullopt;
  if (array->element_type != GgufType::boolean) throw wrong_type(key, "an array of booleans");
  SequentialReader reader(*source_, array->offset);
  std::vector<bool> result;
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto byte = reader.value<std::uint8_t>();
    if (byte > 1) throw invalid_model(file(), "key {} has the boolean {}", key, byte);
    result.push_back(byte == 1);
  }
  return result;
}

std::optional<std::vector<std::uint8_t>> GgufMetadata::bytes(std::string_view key) const {
  const GgufArray* array = find_array(key, "an array of bytes");
  if (array == nullptr) return std::nullopt;
  if (array->element_type != GgufType::u8 && array->element_type != GgufType::i8) {
    throw wrong_type(key, "an array of bytes");
  }
  std::vector<std::uint8_t> result(static_cast<std::size_t>(array->count));
  source_->read(array->offset, std::as_writable_bytes(std::span(result)));
  return result;
}

}  // namespace mlxs
