// The escapes of RFC 8259, section 7.
#include "text/tool_parser/json_text.h"

#include <string>
#include <string_view>

namespace mlxs {

void append_json_character(std::string& json, char character) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (character) {
    case '"':
      json += "\\\"";
      return;
    case '\\':
      json += "\\\\";
      return;
    case '\n':
      json += "\\n";
      return;
    case '\r':
      json += "\\r";
      return;
    case '\t':
      json += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(character);
  if (byte >= 0x20) {
    json += character;
    return;
  }
  json += "\\u00";
  json += kHex[byte >> 4U];
  json += kHex[byte & 15U];
}

}  // namespace mlxs
