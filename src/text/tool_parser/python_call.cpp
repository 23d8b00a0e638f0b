// Calls written as Python writes them. Values become JSON while they are read.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "text/tool_parser/json_scanner.h"
#include "text/tool_parser/json_text.h"
#include "text/tool_parser/parse.h"
#include "text/tool_parser/tool_scanner.h"

namespace mlxs {
namespace {

constexpr int kMaxDepth = 64;

bool is_number_part(char character) {
  return (character >= '0' && character <= '9') || character == '+' || character == '-' ||
         character == '.' || character == 'e' || character == 'E' || character == '_';
}

// RETURNS: a Python number as JSON writes it; empty for one that it cannot write.
std::string to_json_number(std::string_view python) {
  std::string number;
  for (const char character : python)
    if (character != '_') number += character;
  if (number.starts_with('+')) number.erase(0, 1);
  const std::size_t point = number.find('.');
  if (point == 0 || (point == 1 && number[0] == '-')) number.insert(point, "0");
  const std::size_t end = number.find_first_of("eE");
  const std::size_t last = (end == std::string::npos ? number.size() : end);
  if (last > 0 && number[last - 1] == '.') number.insert(last, "0");
  JsonScanner scanner;
  for (const char character : number)
    if (scanner.push(character) != JsonScanner::Step::more) return {};
  return scanner.push(' ') == JsonScanner::Step::done_before ? number : std::string();
}

std::optional<std::string_view> to_json_word(std::string_view python) {
  if (python == "True" || python == "true") return "true";
  if (python == "False" || python == "false") return "false";
  if (python == "None" || python == "null") return "null";
  return std::nullopt;
}

char closing(char open) {
  if (open == '[') return ']';
  return open == '(' ? ')' : '}';
}

int num_hex_digits(char escape) {
  if (escape == 'x') return 2;
  if (escape == 'u') return 4;
  return escape == 'U' ? 8 : 0;
}

void append_unicode_escape(std::string& json, unsigned code) {
  constexpr std::string_view kHex = "0123456789abcdef";
  json += "\\u";
  for (const unsigned shift : {12U, 8U, 4U, 0U}) json += kHex[(code >> shift) & 15U];
}

// RETURNS: a character by its number, as escapes; empty for what is no character.
std::string to_json_escapes(const std::string& digits) {
  const unsigned long code = std::stoul(digits, nullptr, 16);
  std::string json;
  if (code >= 0x110000 || (code >= 0xD800 && code < 0xE000)) return json;
  if (code < 0x10000) {
    append_unicode_escape(json, static_cast<unsigned>(code));
    return json;
  }
  const auto rest = static_cast<unsigned>(code - 0x10000);
  append_unicode_escape(json, 0xD800U + (rest >> 10U));
  append_unicode_escape(json, 0xDC00U + (rest & 0x3FFU));
  return json;
}

}  // namespace

Parse<bool> ToolScanner::python_calls() {
  const bool is_list = co_await literal("[");
  if (!is_list) co_return false;
  std::optional<char> next = ',';
  while (next == ',') {
    co_await blanks();
    const bool is_sound = co_await python_call();
    if (!is_sound) co_return false;
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ',' || next == ']') take(*next);
  }
  if (next != ']') co_return false;
  commit();
  co_return true;
}

Parse<bool> ToolScanner::python_call() {
  const std::string name = co_await word();
  if (!is_known(name)) co_return false;
  const bool is_call = co_await literal("(");
  if (!is_call) co_return false;
  co_return co_await python_arguments(name);
}

Parse<bool> ToolScanner::python_arguments(std::string_view name) {
  std::string separator = "{";
  std::optional<char> next = ',';
  while (next == ',') {
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ')') {
      take(')');
      break;
    }
    const std::string key = co_await word();
    co_await blanks();
    const bool is_keyword = co_await literal("=");
    if (key.empty() || !is_keyword) co_return false;
    co_await blanks();
    // The name is told only now: a parenthesis alone makes no call.
    if (separator == "{") begin_call(name);
    arguments(separator.append("\"").append(key).append("\": "));
    separator = ", ";
    const bool is_sound = co_await python_value(0);
    if (!is_sound) co_return false;
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ',' || next == ')') take(*next);
  }
  if (next != ')') co_return false;
  if (separator == "{") begin_call(name);
  arguments(separator == "{" ? "{}" : "}");
  co_return true;
}

Parse<bool> ToolScanner::python_value(int depth) {
  const std::optional<char> first = co_await stream_.peek();
  if (!first || depth == kMaxDepth) co_return false;
  if (*first == '"' || *first == '\'') co_return co_await python_string(*first);
  if (*first == '[' || *first == '(' || *first == '{')
    co_return co_await python_items(*first, depth);
  co_return co_await python_scalar();
}

Parse<bool> ToolScanner::python_scalar() {
  const std::optional<char> first = co_await stream_.peek();
  std::string json;
  if (first && is_number_part(*first)) {
    std::string number;
    std::optional<char> next = first;
    while (next && is_number_part(*next)) {
      take(*next);
      number += *next;
      next = co_await stream_.peek();
    }
    json = to_json_number(number);
  } else {
    const std::string name = co_await word();
    json = to_json_word(name).value_or("");
  }
  if (json.empty()) co_return false;
  arguments(json);
  co_return true;
}

Parse<bool> ToolScanner::python_key() {
  const std::optional<char> quote = co_await stream_.peek();
  if (!quote || (*quote != '"' && *quote != '\'')) co_return false;
  const bool is_key = co_await python_string(*quote);
  if (!is_key) co_return false;
  co_await blanks();
  const bool has_colon = co_await literal(":");
  if (!has_colon) co_return false;
  co_await blanks();
  arguments(": ");
  co_return true;
}

Parse<bool> ToolScanner::python_items(char open, int depth) {
  const char close = closing(open);
  take(open);
  arguments(open == '{' ? "{" : "[");
  std::optional<char> next = ',';
  bool is_first = true;
  while (next == ',') {
    co_await blanks();
    next = co_await stream_.peek();
    if (next == close) {
      take(close);
      break;
    }
    if (!is_first) arguments(", ");
    is_first = false;
    if (open == '{') {
      const bool is_key = co_await python_key();
      if (!is_key) co_return false;
    }
    const bool is_sound = co_await python_value(depth + 1);
    if (!is_sound) co_return false;
    co_await blanks();
    next = co_await stream_.peek();
    if (next == ',' || next == close) take(*next);
  }
  if (next != close) co_return false;
  arguments(open == '{' ? "}" : "]");
  co_return true;
}

Parse<bool> ToolScanner::python_string(char quote) {
  take(quote);
  arguments("\"");
  while (true) {
    const std::optional<char> character = co_await stream_.peek();
    if (!character) co_return false;
    take(*character);
    if (character == quote) break;
    if (*character == '\\') {
      const bool is_sound = co_await python_escape();
      if (!is_sound) co_return false;
      continue;
    }
    std::string json;
    append_json_character(json, *character);
    arguments(json);
  }
  arguments("\"");
  co_return true;
}

// After the backslash. An escape that Python does not know is a backslash and the character.
Parse<bool> ToolScanner::python_escape() {
  const std::optional<char> escape = co_await stream_.peek();
  if (!escape) co_return false;
  take(*escape);
  if (const int num_digits = num_hex_digits(*escape); num_digits > 0) {
    std::string digits;
    for (int i = 0; i < num_digits; ++i) {
      const std::optional<char> digit = co_await stream_.peek();
      const bool is_hex = digit && std::string_view("0123456789abcdefABCDEF").find(*digit) !=
                                       std::string_view::npos;
      if (!is_hex) co_return false;
      take(*digit);
      digits += *digit;
    }
    const std::string json = to_json_escapes(digits);
    if (json.empty()) co_return false;
    arguments(json);
    co_return true;
  }
  constexpr std::string_view kNames = "\n\\'\"abfnrtv";
  constexpr std::string_view kMeanings("\0\\'\"\a\b\f\n\r\t\v", 11);
  const std::size_t index = kNames.find(*escape);
  std::string json;
  if (index == std::string_view::npos) append_json_character(json, '\\');
  // A backslash at a line's end joins the lines.
  if (index != 0)
    append_json_character(json, index == std::string_view::npos ? *escape : kMeanings[index]);
  arguments(json);
  co_return true;
}

}  // namespace mlxs
