// Writes small GGUF files for tests, sound or broken in one chosen place. Every field of the header
// can be given a value that disagrees with what follows, and the writer records where each one
// lies.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlxs::testing {

struct GgufKeyValueSpec {
  std::string key;
  std::uint32_t type = 0;
  std::string value;                       // as stored
  std::optional<std::uint64_t> key_bytes;  // instead of key.size()
};

struct GgufTensorSpec {
  std::string name;
  std::vector<std::uint64_t> dims;  // GGUF's order
  std::uint32_t type = 0;
  std::string contents;
  std::optional<std::uint64_t> name_bytes;
  std::optional<std::uint32_t> num_dims;
  std::optional<std::uint64_t> offset;
};

struct GgufSpec {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> num_tensors;
  std::optional<std::uint64_t> num_key_values;
  std::vector<GgufKeyValueSpec> key_values;
  std::vector<GgufTensorSpec> tensors;
  std::uint64_t alignment = 32;  // of the bytes; the key general.alignment is separate
  std::uint64_t bytes_cut = 0;   // taken off the end
};

// A field of the header and the byte range that it takes.
struct FieldPlace {
  std::string name;
  std::size_t offset = 0;
  std::size_t num_bytes = 0;
};

struct WrittenGguf {
  std::string bytes;
  std::vector<FieldPlace> fields;
};

[[nodiscard]] WrittenGguf write_gguf(const GgufSpec& spec);

// RETURNS: the little-endian bytes of a number.
template <typename T>
[[nodiscard]] std::string raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

[[nodiscard]] std::string raw_string(std::string_view text);  // length and bytes

[[nodiscard]] GgufKeyValueSpec u32_key(std::string key, std::uint32_t value);
[[nodiscard]] GgufKeyValueSpec f32_key(std::string key, float value);
[[nodiscard]] GgufKeyValueSpec bool_key(std::string key, std::uint8_t value);
[[nodiscard]] GgufKeyValueSpec string_key(std::string key, std::string_view value);
[[nodiscard]] GgufKeyValueSpec strings_key(std::string key, const std::vector<std::string>& values);
[[nodiscard]] GgufKeyValueSpec f32s_key(std::string key, const std::vector<float>& values);
[[nodiscard]] GgufKeyValueSpec i32s_key(std::string key, const std::vector<std::int32_t>& values);
[[nodiscard]] GgufKeyValueSpec bools_key(std::string key, const std::vector<std::uint8_t>& values);

// Replaces the value of a key, or adds it.
void set_key(GgufSpec& spec, GgufKeyValueSpec key_value);
void erase_key(GgufSpec& spec, std::string_view key);
[[nodiscard]] GgufTensorSpec f32_tensor(std::string name, std::vector<std::uint64_t> dims);

// A whole one-layer llama model: hidden 64, 2 heads, 1 kv head, 8 tokens, weights in F32, F16,
// Q4_0, Q4_1 and Q8_0. `seed` varies the contents.
[[nodiscard]] GgufSpec small_llama(std::uint32_t seed);

}  // namespace mlxs::testing
