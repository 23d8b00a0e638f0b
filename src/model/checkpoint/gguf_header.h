// The header of one GGUF file (version 2 or 3, little-endian), validated: metadata with typed
// accessors and the table of tensors. It knows the container, not what the keys mean. Arrays stay
// in the file until they are asked for, so a header costs memory in proportion to its strings and
// tensors and never to a length that it merely claims.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mlx_serving/error.h"
#include "model/checkpoint/byte_source.h"
#include "model/checkpoint/tensor_info.h"

namespace mlxs {

enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

// An array's place in the file; its elements have been walked once and lie within it.
struct GgufArray {
  GgufType element_type = GgufType::u8;
  std::uint64_t count = 0;
  std::uint64_t offset = 0;  // of the first element
};

struct GgufValue {
  GgufType type = GgufType::u8;
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string, GgufArray> value;
};

// The key-value part. Accessors return nothing for an absent key and throw invalid_model, naming
// file and key, for one of another type. REQUIRES: the ByteSource outlives it. THREADS: const
// members from any thread.
class GgufMetadata {
 public:
  using Map = std::map<std::string, GgufValue, std::less<>>;

  GgufMetadata(const ByteSource& source, Map values)
      : source_(&source), values_(std::move(values)) {}

  [[nodiscard]] const std::string& file() const { return source_->name(); }
  [[nodiscard]] const Map& values() const { return values_; }
  [[nodiscard]] bool contains(std::string_view key) const {
    return values_.find(key) != values_.end();
  }

  [[nodiscard]] std::optional<std::uint64_t> unsigned_integer(std::string_view key
  ) const;  // any integer type, >= 0
  [[nodiscard]] std::optional<std::int32_t> int32(std::string_view key
  ) const;  // any integer type, 0 to 2^31 - 1
  [[nodiscard]] std::optional<double> number(std::string_view key) const;  // f32 or f64, finite
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> string(std::string_view key) const;
  // Arrays of at most 2^21 elements.
  [[nodiscard]] std::optional<std::vector<std::string>> strings(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<float>> floats(std::string_view key) const;  // of f32
  [[nodiscard]] std::optional<std::vector<std::int32_t>> int32s(std::string_view key
  ) const;  // of any integer type
  [[nodiscard]] std::optional<std::vector<bool>> booleans(std::string_view key) const;
  [[nodiscard]] std::optional<std::vector<std::uint8_t>> bytes(std::string_view key
  ) const;  // of u8 or i8
  [[nodiscard]] bool is_array(std::string_view key) const;

 private:
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] const GgufArray* find_array(std::string_view key, std::string_view needed) const;
  [[nodiscard]] Error wrong_type(std::string_view key, std::string_view needed) const;

  const ByteSource* source_;
  Map values_;
};

struct GgufHeader {
  std::uint32_t version = 0;
  GgufMetadata metadata;
  // by offset, GGUF's own names, shapes turned to row-major; TensorInfo::file is 0
  std::vector<TensorInfo> tensors;
};

// ERRORS: invalid_model naming the file, the byte offset and the key or tensor; unsupported_model
// for another version, a big-endian file or a tensor type of unknown size.
[[nodiscard]] GgufHeader read_gguf_header(const ByteSource& source);

// RETURNS: the word for a type in messages: "array of u32" for arrays.
[[nodiscard]] std::string gguf_type_name(const GgufValue& value);

}  // namespace mlxs
