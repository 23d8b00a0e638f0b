// Table 3-7 of the Unicode standard (well-formed UTF-8), walked one character at a time.
#include "text/utf8_assembler.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlxs {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

enum class Shape { complete, incomplete, broken };

struct Character {
  Shape shape;
  std::size_t num_bytes;  // of the character, or of its longest sound beginning; at least 1
};

struct Lead {
  std::size_t num_bytes;  // 0: no character starts so
  std::uint8_t low;       // range of the second byte
  std::uint8_t high;
};

Lead read_lead(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// REQUIRES: `bytes` is not empty.
Character read_character(std::string_view bytes) {
  const Lead lead = read_lead(static_cast<std::uint8_t>(bytes.front()));
  if (lead.num_bytes == 0) return {Shape::broken, 1};
  for (std::size_t i = 1; i < lead.num_bytes; ++i) {
    if (i == bytes.size()) return {Shape::incomplete, i};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const bool is_in_range = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
    if (!is_in_range) return {Shape::broken, i};
  }
  return {Shape::complete, lead.num_bytes};
}

}  // namespace

std::string Utf8Assembler::append(std::string_view bytes) {
  held_.append(bytes);
  std::string text;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Character character = read_character(rest);
    if (character.shape == Shape::incomplete) break;
    std::size_t num_taken = character.num_bytes;
    if (character.shape == Shape::complete) {
      text.append(rest.substr(0, num_taken));
    } else {
      if (invalid_bytes_ == InvalidBytes::replace_bytes) num_taken = 1;
      text.append(kReplacement);
    }
    rest.remove_prefix(num_taken);
  }
  held_.erase(0, held_.size() - rest.size());
  return text;
}

std::string Utf8Assembler::finish() {
  std::string text;
  const std::size_t num_marks =
      invalid_bytes_ == InvalidBytes::replace_bytes ? held_.size() : !held_.empty();
  for (std::size_t i = 0; i < num_marks; ++i) text.append(kReplacement);
  held_.clear();
  return text;
}

}  // namespace mlxs
