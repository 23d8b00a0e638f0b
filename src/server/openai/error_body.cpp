// Messages may repeat, and cut, what a client sent: here all of it becomes valid UTF-8.
#include "server/openai/error_body.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/http/message.h"

namespace mlxs {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// RETURNS: the bytes of the character that `text` begins with; 0 where it begins with none (RFC
// 3629, section 4).
std::size_t character_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t num_bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < num_bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const bool is_overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool is_surrogate_or_beyond =
      (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return is_overlong || is_surrogate_or_beyond ? 0 : num_bytes;
}

json::value text_or_null(std::string_view text) {
  if (text.empty()) return nullptr;
  return json::string(valid_utf8(text));
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t num_bytes = character_bytes(text);
    valid += num_bytes == 0 ? kReplacement : text.substr(0, num_bytes);
    text.remove_prefix(num_bytes == 0 ? 1 : num_bytes);
  }
  return valid;
}

std::string render_openai_fault(const HttpFault& fault) {
  json::object error;
  error["message"] = valid_utf8(fault.message);
  error["type"] = json::string_view(fault.type.data(), fault.type.size());
  error["param"] = text_or_null(fault.param);
  error["code"] = text_or_null(fault.code);
  json::object body;
  body["error"] = std::move(error);
  return json::serialize(body);
}

}  // namespace mlxs
