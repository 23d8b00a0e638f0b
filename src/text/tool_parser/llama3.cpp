// Llama 3: {"name": ..., "parameters": {...}} as the whole output or after <|python_tag|>, several
// with ; between; and
// <|python_tag|>name.call(key=value, ...) for the tools that the model was trained on.
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

constexpr std::array<std::string_view, 1> kMarks = {"<|python_tag|>"};
constexpr std::string_view kCall = ".call";

Parse<bool> parse_calls(ToolScanner& scanner) {
  bool is_call = co_await scanner.json_call();
  if (!is_call) co_return false;
  while (true) {
    co_await scanner.blanks();
    const bool has_more = co_await scanner.literal(";");
    if (!has_more) break;
    co_await scanner.blanks();
    is_call = co_await scanner.json_call();
    if (!is_call) co_return false;
  }
  co_return true;
}

Parse<bool> parse_trained_call(ToolScanner& scanner) {
  const std::string word = co_await scanner.word();
  if (!word.ends_with(kCall)) co_return false;
  const std::string name = word.substr(0, word.size() - kCall.size());
  const bool is_open = co_await scanner.literal("(");
  if (!is_open || !scanner.is_known(name)) co_return false;
  co_return co_await scanner.python_arguments(name);
}

Parse<void> parse_llama3(ToolScanner& scanner) {
  co_await scanner.blanks();
  std::optional<char> first = co_await scanner.stream().peek();
  if (first == '{') co_await parse_calls(scanner);
  scanner.give_up();
  while (true) {
    const auto mark = co_await scanner.text_up_to(kMarks);
    if (!mark) break;
    co_await scanner.blanks();
    first = co_await scanner.stream().peek();
    if (first == '{') {
      co_await parse_calls(scanner);
    } else {
      co_await parse_trained_call(scanner);
    }
    scanner.give_up();
  }
}

std::string call_tag(const ToolFunction& function) {
  return json_call_tag(
      function,
      {.begin = "{\"name\": " + json_quote(function.name) + ", \"parameters\": ", .end = "}"}
  );
}

}  // namespace

constexpr ToolFormat kLlama3ToolFormat = {
    .name = "llama3",
    .parse = parse_llama3,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = kMarks,
    .syntax = {.prefix = "", .separator = "; ", .suffix = "", .call_tag = call_tag, .trigger = ""},
};

}  // namespace mlxs
