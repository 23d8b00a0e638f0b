// The scanner against the strict parser of base/json.h.
#include "text/tool_parser/json_scanner.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// RETURNS: how many characters the first value of `text` takes, or npos for none.
std::size_t scan(std::string_view text) {
  JsonScanner scanner;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (scanner.push(text[i])) {
      case JsonScanner::Step::more:
        break;
      case JsonScanner::Step::done:
        return i + 1;
      case JsonScanner::Step::done_before:
        return i;
      case JsonScanner::Step::failed:
        return std::string_view::npos;
    }
  }
  return std::string_view::npos;
}

bool is_json(std::string_view text) {
  try {
    (void)parse_json(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

TEST(JsonScannerTest, a_value_ends_where_it_ends) {
  EXPECT_EQ(scan("{}x"), 2U);
  EXPECT_EQ(scan(R"({"a":[1,{"b":"}"}]} tail)"), 19U);
  EXPECT_EQ(scan("\"a\\\"b\"c"), 6U);
  EXPECT_EQ(scan("12.5,"), 4U);
  EXPECT_EQ(scan("true]"), 4U);
  EXPECT_EQ(scan("-0e+1 "), 5U);
}

TEST(JsonScannerTest, what_is_not_json_fails) {
  for (const std::string_view text :
       {"",
        "}",
        "{a",
        "{\"a\"}",
        "[1,]",
        "{\"a\":1,}",
        "[01]",
        "1.",
        "+1",
        "nul ",
        "\"\\x\"",
        "\"\\u12g4\"",
        "[1 2]",
        "{\"a\" 1}",
        "-",
        "1e ",
        "[}",
        "{]"})
    EXPECT_EQ(scan(std::string(text) + " "), std::string_view::npos) << text;
}

TEST(JsonScannerTest, control_characters_in_strings_are_mended) {
  JsonScanner scanner;
  std::string json;
  for (const char character : std::string_view("\"a\n\tb\x01\"")) {
    EXPECT_NE(scanner.push(character), JsonScanner::Step::failed);
    json += scanner.escaped();
  }
  EXPECT_EQ(json, R"("a\n\tb\u0001")");
}

TEST(JsonScannerTest, depth_is_limited) {
  EXPECT_EQ(scan(std::string(101, '[') + std::string(101, ']')), std::string_view::npos);
  EXPECT_EQ(scan(std::string(100, '[') + std::string(100, ']')), 200U);
}

TEST(JsonScannerTest, it_agrees_with_the_strict_parser_on_random_texts) {
  std::mt19937 random(17);
  constexpr std::string_view kPieces[] = {
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"",
      "a",
      "\\n",
      "\\u00e9",
      "0",
      "1",
      "-",
      ".",
      "e",
      "true",
      "null",
      " ",
      "\"b\""
  };
  int num_sound = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    const int num_pieces = 1 + static_cast<int>(random() % 6);
    for (int piece = 0; piece < num_pieces; ++piece) text += kPieces[random() % std::size(kPieces)];
    // The parser refuses a key that comes twice.
    if (text.find("\"b\"") != text.rfind("\"b\"")) continue;
    if (text.front() == ' ' || text.back() == ' ') continue;
    const bool is_sound = scan(text + '\x1f') == text.size() || scan(text) == text.size();
    ASSERT_EQ(is_sound, is_json(text)) << text;
    num_sound += is_sound ? 1 : 0;
  }
  EXPECT_GT(num_sound, 1000);
}

}  // namespace
}  // namespace mlxs
