// Quoting for messages about files.
#include "model/checkpoint/file_error.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace mlxs {

std::string quote_for_message(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  std::string result = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code > 0x7E || c == '"' || c == '\\') {
      result += fmt::format("\\x{:02x}", code);
    } else {
      result += c;
    }
  }
  return result + (text.size() > kMaxShown ? "...\"" : "\"");
}

}  // namespace mlxs
