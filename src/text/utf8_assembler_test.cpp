// Whole and broken characters, in every way of cutting them.
#include "text/utf8_assembler.h"

#include <gtest/gtest.h>

namespace mlxs {
namespace {

std::string assemble(std::string_view bytes, InvalidBytes invalid_bytes, std::size_t step) {
  Utf8Assembler assembler(invalid_bytes);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += step)
    text += assembler.append(bytes.substr(i, step));
  return text + assembler.finish();
}

TEST(Utf8AssemblerTest, holds_back_half_a_character) {
  Utf8Assembler assembler(InvalidBytes::replace_parts);
  EXPECT_EQ(assembler.append("a\xF0\x9F"), "a");
  EXPECT_EQ(assembler.append("\x98"), "");
  EXPECT_EQ(assembler.append("\x80!"), "\xF0\x9F\x98\x80!");
  EXPECT_EQ(assembler.finish(), "");
}

TEST(Utf8AssemblerTest, replaces_as_each_convention_does_wherever_it_is_cut) {
  struct Case {
    std::string bytes;
    std::size_t num_parts;    // U+FFFD with replace_parts
    std::size_t num_singles;  // and with replace_bytes
    std::string tail;
  };
  const auto marks = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "\xEF\xBF\xBD";
    return text;
  };
  const Case cases[] = {
      {"\xF0\x9F\x98\x80", 0, 0, "\xF0\x9F\x98\x80"},
      {"\xE2\x82", 1, 2, ""},                      // the text ends within a character
      {std::string("\xE2\x82") + "A", 1, 2, "A"},  // another one breaks it off
      {std::string("\xF0\x9F\x98") + "A", 1, 3, "A"},
      {"\xC0\xAF", 2, 2, ""},                              // overlong
      {"\xED\xA0\x80", 3, 3, ""},                          // a surrogate
      {std::string("\xF4\x90\x80\x80") + "A", 4, 4, "A"},  // beyond U+10FFFF
      {"\x80\xFF", 2, 2, ""},
  };
  for (const Case& test_case : cases) {
    for (std::size_t step = 1; step <= test_case.bytes.size(); ++step) {
      EXPECT_EQ(
          assemble(test_case.bytes, InvalidBytes::replace_parts, step),
          marks(test_case.num_parts) + test_case.tail
      );
      EXPECT_EQ(
          assemble(test_case.bytes, InvalidBytes::replace_bytes, step),
          marks(test_case.num_singles) + test_case.tail
      );
    }
  }
}

}  // namespace
}  // namespace mlxs
