// Gemma: Python in a ```tool_code fence (Gemma 3), or call:name{key:value, ...} between
// <start_function_call> and <end_function_call> (FunctionGemma) or <|tool_call> and <tool_call|>
// (Gemma 4), with marks of their own for quotes.
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "text/tool_parser/json_text.h"
#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_output.h"
#include "text/tool_parser/tool_scanner.h"
#include "text/tool_parser/tool_tags.h"

namespace mlxs {
namespace {

constexpr std::array<std::string_view, 7> kMarks = {
    "<start_function_call>",
    "<|tool_call>",
    "<end_function_call>",
    "<tool_call|>",
    "<escape>",
    "<|\"|>",
    "```tool_code"
};
constexpr std::array<std::string_view, 3> kOpening = {
    "```tool_code\n", "<start_function_call>", "<|tool_call>"
};
constexpr std::array<std::string_view, 3> kClosing = {"```", "<end_function_call>", "<tool_call|>"};
constexpr int kMaxDepth = 64;

// A string between two of the model's own quotes, the first of which is still to come.
Parse<bool> parse_quoted(ToolScanner& scanner) {
  co_await scanner.literal("<");
  const std::optional<char> second = co_await scanner.stream().peek();
  const std::string_view quote = second == '|' ? "<|\"|>" : "<escape>";
  const bool is_quote = co_await scanner.literal(quote.substr(1));
  if (!is_quote) co_return false;
  scanner.arguments("\"");
  std::string held;
  while (held != quote) {
    const std::optional<char> character = co_await scanner.stream().peek();
    if (!character) co_return false;
    scanner.take(*character);
    held += *character;
    std::string json;
    while (!held.empty() && !quote.starts_with(held)) {
      append_json_character(json, held.front());
      held.erase(0, 1);
    }
    if (!json.empty()) scanner.arguments(json);
  }
  scanner.arguments("\"");
  co_return true;
}

Parse<bool> parse_key(ToolScanner& scanner) {
  const std::optional<char> first = co_await scanner.stream().peek();
  if (first == '<') {
    const bool is_quoted = co_await parse_quoted(scanner);
    if (!is_quoted) co_return false;
  } else {
    const std::string key = co_await scanner.word();
    if (key.empty()) co_return false;
    scanner.arguments('"' + key + '"');
  }
  co_await scanner.blanks();
  const bool has_colon = co_await scanner.literal(":");
  if (!has_colon) co_return false;
  scanner.arguments(": ");
  co_await scanner.blanks();
  co_return true;
}

Parse<bool> parse_value(ToolScanner& scanner, int depth);

// Members or items after the opening bracket, with the closing one.
Parse<bool> parse_items(ToolScanner& scanner, char close, int depth) {
  scanner.arguments(close == '}' ? "{" : "[");
  std::string_view separator;
  std::optional<char> next = ',';
  while (next == ',') {
    co_await scanner.blanks();
    next = co_await scanner.stream().peek();
    if (next == close) {
      scanner.take(close);
      break;
    }
    scanner.arguments(separator);
    separator = ", ";
    if (close == '}') {
      const bool is_key = co_await parse_key(scanner);
      if (!is_key) co_return false;
    }
    const bool is_sound = co_await parse_value(scanner, depth + 1);
    if (!is_sound) co_return false;
    co_await scanner.blanks();
    next = co_await scanner.stream().peek();
    if (next == ',' || next == close) scanner.take(*next);
  }
  if (next != close) co_return false;
  scanner.arguments(close == '}' ? "}" : "]");
  co_return true;
}

Parse<bool> parse_value(ToolScanner& scanner, int depth) {
  const std::optional<char> first = co_await scanner.stream().peek();
  if (!first || depth == kMaxDepth) co_return false;
  if (*first == '<') co_return co_await parse_quoted(scanner);
  if (*first == '"') co_return co_await scanner.json_value(nullptr);
  if (*first == '{' || *first == '[') {
    scanner.take(*first);
    co_return co_await parse_items(scanner, *first == '{' ? '}' : ']', depth);
  }
  co_return co_await scanner.python_scalar();
}

Parse<bool> parse_marked_call(ToolScanner& scanner) {
  const bool is_call = co_await scanner.literal("call:");
  if (!is_call) co_return false;
  const std::string name = co_await scanner.word();
  const bool is_open = co_await scanner.literal("{");
  if (!is_open || !scanner.is_known(name)) co_return false;
  scanner.begin_call(name);
  co_return co_await parse_items(scanner, '}', 0);
}

// name(...), or print(name(...)).
Parse<bool> parse_statement(ToolScanner& scanner) {
  std::string name = co_await scanner.word();
  bool is_open = co_await scanner.literal("(");
  const bool is_printed = name == "print" && !scanner.is_known(name);
  if (is_open && is_printed) {
    name = co_await scanner.word();
    is_open = co_await scanner.literal("(");
  }
  if (!is_open || !scanner.is_known(name)) co_return false;
  const bool is_sound = co_await scanner.python_arguments(name);
  if (!is_sound || !is_printed) co_return is_sound;
  co_return co_await scanner.literal(")");
}

// Statements up to the fence's end; at least one.
Parse<bool> parse_fenced(ToolScanner& scanner) {
  bool has_call = false;
  while (true) {
    co_await scanner.blanks();
    const std::optional<char> next = co_await scanner.stream().peek();
    if (!next || next == '`') co_return has_call;
    bool is_sound = false;
    if (next == '[') {
      is_sound = co_await scanner.python_calls();
    } else {
      is_sound = co_await parse_statement(scanner);
    }
    if (!is_sound) co_return false;
    scanner.commit();
    has_call = true;
  }
}

Parse<void> parse_gemma(ToolScanner& scanner) {
  while (true) {
    const auto mark = co_await scanner.text_up_to(kOpening);
    if (!mark) break;
    bool is_call = false;
    if (*mark == 0) {
      is_call = co_await parse_fenced(scanner);
    } else {
      is_call = co_await parse_marked_call(scanner);
    }
    if (!is_call) {
      scanner.give_up();
      continue;
    }
    co_await scanner.blanks();
    const bool is_closed = co_await scanner.literal(kClosing[*mark]);
    if (is_closed) {
      scanner.commit();
    } else {
      scanner.give_up();
    }
  }
}

}  // namespace

constexpr ToolFormat kGemmaToolFormat = {
    .name = "gemma",
    .parse = parse_gemma,
    .id_style = ToolIdStyle::openai,
    .marks = kMarks,
    .opening_marks = kOpening,
    .syntax =
        {.prefix = "```tool_code\n[",
         .separator = ", ",
         .suffix = "]\n```",
         .call_tag = python_call_tag,
         .trigger = "```tool_code"},
};

}  // namespace mlxs
