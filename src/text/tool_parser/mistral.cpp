// Mistral: [TOOL_CALLS][{"name": ..., "arguments": {...}}, ...], or in newer models
// [TOOL_CALLS]name[ARGS]{...}, with [CALL_ID]id before [ARGS] at times.
#include <array>
#include <optional>
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

constexpr std::array<std::string_view, 3> kMarks = {"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"};
constexpr std::array<std::string_view, 1> kOpening = {"[TOOL_CALLS]"};

Parse<bool> parse_named(ToolScanner& scanner) {
  const std::string name = co_await scanner.word();
  if (!scanner.is_known(name)) co_return false;
  std::optional<char> next = co_await scanner.stream().peek();
  if (next == '[') {
    const bool is_open = co_await scanner.literal("[");
    const std::optional<char> letter = co_await scanner.stream().peek();
    if (is_open && letter == 'C') {
      const bool has_id = co_await scanner.literal("CALL_ID]");
      if (!has_id) co_return false;
      const std::string id = co_await scanner.word();
      const bool is_arguments = co_await scanner.literal("[ARGS]");
      if (id.empty() || !is_arguments) co_return false;
    } else {
      const bool is_arguments = co_await scanner.literal("ARGS]");
      if (!is_arguments) co_return false;
    }
    co_await scanner.blanks();
  }
  co_return co_await scanner.json_arguments(name);
}

Parse<void> parse_mistral(ToolScanner& scanner) {
  while (true) {
    const auto mark = co_await scanner.text_up_to(kOpening);
    if (!mark) break;
    co_await scanner.blanks();
    const std::optional<char> next = co_await scanner.stream().peek();
    bool is_call = false;
    if (next == '[') {
      is_call = co_await scanner.json_calls();
    } else {
      is_call = co_await parse_named(scanner);
    }
    if (!is_call) scanner.give_up();
  }
}

std::string call_tag(const ToolFunction& function) {
  return json_call_tag(
      function,
      {.begin = "{\"name\": " + json_quote(function.name) + ", \"arguments\": ", .end = "}"}
  );
}

}  // namespace

constexpr ToolFormat kMistralToolFormat = {
    .name = "mistral",
    .parse = parse_mistral,
    .id_style = ToolIdStyle::mistral,
    .marks = kMarks,
    .opening_marks = kOpening,
    .syntax =
        {.prefix = "[TOOL_CALLS][",
         .separator = ", ",
         .suffix = "]",
         .call_tag = call_tag,
         .trigger = "[TOOL_CALLS]"},
};

}  // namespace mlxs
