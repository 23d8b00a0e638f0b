// Text and its marks.
#include "text/tool_parser/tool_scanner.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/tool_parser/json_text.h"
#include "text/tool_parser/parse.h"

namespace mlxs {
namespace {

bool is_word_part(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '_' || character == '-' ||
         character == '.';
}

}  // namespace

bool ToolScanner::is_known(std::string_view name) const {
  return !name.empty() && (names_.empty() || std::ranges::find(names_, name) != names_.end());
}

void ToolScanner::give_up() {
  output_.text(taken_);
  taken_.clear();
}

void ToolScanner::begin_call(std::string_view name) {
  output_.begin_call(name);
  commit();
}

void ToolScanner::arguments(std::string_view json) {
  output_.arguments(json);
  commit();
}

Parse<std::optional<std::size_t>> ToolScanner::text_up_to(std::span<const std::string_view> marks) {
  const auto begins_mark = [this, marks] {
    return std::ranges::any_of(marks, [this](std::string_view mark) {
      return mark.starts_with(taken_);
    });
  };
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character) break;
    take(*character);
    while (!taken_.empty() && !begins_mark()) {
      output_.text(std::string_view(taken_).substr(0, 1));
      taken_.erase(0, 1);
    }
    const auto mark = std::ranges::find(marks, std::string_view(taken_));
    if (!taken_.empty() && mark != marks.end())
      co_return static_cast<std::size_t>(mark - marks.begin());
  }
  give_up();
  co_return std::nullopt;
}

Parse<void> ToolScanner::rest_as_text() {
  give_up();
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character) break;
    take(*character);
    give_up();
  }
}

Parse<void> ToolScanner::blanks() {
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character || !is_json_blank(*character)) break;
    take(*character);
  }
}

Parse<bool> ToolScanner::literal(std::string_view text) {
  for (const char expected : text) {
    const std::optional<char> character = co_await stream_.peek();
    if (character != expected) co_return false;
    take(*character);
  }
  co_return true;
}

Parse<std::string> ToolScanner::word() {
  std::string word;
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character || !is_word_part(*character)) break;
    take(*character);
    word += *character;
  }
  co_return word;
}

}  // namespace mlxs
