// Phi: <|tool_call|>[{"name": ..., "arguments": {...}}, ...]<|/tool_call|>, or functools[...]
// without an end.
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"
#include "text/tool_parser/tool_tags.h"

namespace mlxs {
namespace {

constexpr std::array<std::string_view, 3> kMarks = {
    "<|tool_call|>", "functools[", "<|/tool_call|>"
};
constexpr std::array<std::string_view, 2> kOpening = {"<|tool_call|>", "functools"};
constexpr std::size_t kTagged = 0;

Parse<void> parse_phi(ToolScanner& scanner) {
  while (true) {
    const auto mark = co_await scanner.text_up_to(kOpening);
    if (!mark) break;
    if (mark == kTagged) co_await scanner.blanks();
    const bool is_call = co_await scanner.json_calls();
    if (!is_call) {
      scanner.give_up();
      continue;
    }
    if (mark != kTagged) continue;
    co_await scanner.blanks();
    const bool is_closed = co_await scanner.literal("<|/tool_call|>");
    if (is_closed) {
      scanner.commit();
    } else {
      scanner.give_up();
    }
  }
}

std::string call_tag(const ToolFunction& function) {
  return json_call_tag(
      function,
      {.begin = "{\"name\": " + json_quote(function.name) + ", \"arguments\": ", .end = "}"}
  );
}

}  // namespace

constexpr ToolFormat kPhiToolFormat = {
    .name = "phi",
    .parse = parse_phi,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = std::span(kMarks).first(2),
    .syntax =
        {.prefix = "<|tool_call|>[",
         .separator = ", ",
         .suffix = "]<|/tool_call|>",
         .call_tag = call_tag,
         .trigger = "<|tool_call|>"},
};

}  // namespace mlxs
