// Lines are written as text everywhere; this is the one place that knows their form.
#include "base/log_fields.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include "base/json.h"

namespace mlxs {
namespace {

bool is_name_letter(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
}

std::string ascii(std::string_view text) {
  std::string result;
  for (const char letter : text) result += static_cast<unsigned char>(letter) < 0x80 ? letter : '?';
  return result;
}

json::value value_of(std::string_view text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return json::string(ascii(text));
  if (text.find_first_not_of("0123456789-") == std::string_view::npos && text.size() < 18)
    return static_cast<std::int64_t>(number);
  return number;
}

// Takes ` name=value` from the front of `line`. RETURNS: whether there was one.
bool take_field(std::string_view& line, json::object& fields) {
  std::size_t end = 1;
  while (end < line.size() && is_name_letter(line[end])) ++end;
  if (line.front() != ' ' || end == 1 || end == line.size() || line[end] != '=') return false;
  const std::string_view name = line.substr(1, end - 1);
  std::string_view rest = line.substr(end + 1);
  const bool is_quoted = rest.starts_with('"');
  if (is_quoted) rest.remove_prefix(1);
  const std::size_t length = rest.find(is_quoted ? '"' : ' ');
  const std::string_view text = rest.substr(0, length);
  const json::value value = is_quoted ? json::value(json::string(ascii(text))) : value_of(text);
  if (name != "time" && name != "level") fields.emplace(name, value);
  line = length == std::string_view::npos ? std::string_view()
                                          : rest.substr(length + (is_quoted ? 1 : 0));
  return true;
}

}  // namespace

json::object log_fields(std::string_view line) {
  json::object fields;
  fields["message"] = "";
  std::string message;
  while (!line.empty()) {
    if (take_field(line, fields)) continue;
    message += line.front();
    line.remove_prefix(1);
  }
  fields["message"] = ascii(message);
  return fields;
}

}  // namespace mlxs
