// Hermes and Qwen: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, one pair of tags for
// each call.
#include <array>
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

constexpr std::array<std::string_view, 2> kMarks = {"<tool_call>", "</tool_call>"};
constexpr std::array<std::string_view, 1> kOpening = {"<tool_call>"};

Parse<void> parse_hermes(ToolScanner& scanner) {
  while (true) {
    const auto mark = co_await scanner.text_up_to(kOpening);
    if (!mark) break;
    co_await scanner.blanks();
    const bool is_call = co_await scanner.json_call();
    if (!is_call) {
      scanner.give_up();
      continue;
    }
    co_await scanner.blanks();
    const bool is_closed = co_await scanner.literal("</tool_call>");
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
      {.begin = "<tool_call>\n{\"name\": " + json_quote(function.name) + ", \"arguments\": ",
       .end = "}\n</tool_call>"}
  );
}

}  // namespace

constexpr ToolFormat kHermesToolFormat = {
    .name = "hermes",
    .parse = parse_hermes,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = kOpening,
    .syntax =
        {.prefix = "",
         .separator = "\n",
         .suffix = "",
         .call_tag = call_tag,
         .trigger = "<tool_call>"},
};

}  // namespace mlxs
