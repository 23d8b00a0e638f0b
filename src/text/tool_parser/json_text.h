// Characters as JSON writes them within a string.
#pragma once

#include <string>

namespace mlxs {

[[nodiscard]] inline bool is_json_blank(char character) {
  return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

// Appends one byte of a string's text: control characters, quotes and backslashes as escapes,
// others as they are.
void append_json_character(std::string& json, char character);

}  // namespace mlxs
