// Pythonic calls, as Llama 4, Llama 3.2 and others write them: [name(key=value, ...), ...] as the
// whole output, or between <|python_start|> and <|python_end|>.
#include <array>
#include <optional>
#include <string_view>

#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"
#include "text/tool_parser/tool_tags.h"

namespace mlxs {
namespace {

constexpr std::array<std::string_view, 2> kMarks = {"<|python_start|>", "<|python_end|>"};
constexpr std::array<std::string_view, 1> kOpening = {"<|python_start|>"};

Parse<void> parse_pythonic(ToolScanner& scanner) {
  co_await scanner.blanks();
  const std::optional<char> first = co_await scanner.stream().peek();
  if (first == '[') co_await scanner.python_calls();
  scanner.give_up();
  while (true) {
    const auto mark = co_await scanner.text_up_to(kOpening);
    if (!mark) break;
    co_await scanner.blanks();
    const bool is_call = co_await scanner.python_calls();
    if (!is_call) {
      scanner.give_up();
      continue;
    }
    co_await scanner.blanks();
    const bool is_closed = co_await scanner.literal("<|python_end|>");
    if (is_closed) {
      scanner.commit();
    } else {
      scanner.give_up();
    }
  }
}

}  // namespace

constexpr ToolFormat kPythonicToolFormat = {
    .name = "pythonic",
    .parse = parse_pythonic,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = kOpening,
    .syntax =
        {.prefix = "[", .separator = ", ", .suffix = "]", .call_tag = python_call_tag, .trigger = ""
        },
};

}  // namespace mlxs
