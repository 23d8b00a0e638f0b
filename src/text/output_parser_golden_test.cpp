// Every committed output, whole, at every cut, character by character, and in random pieces.
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "text/output_delta.h"
#include "text/output_parser.h"
#include "text/testing/output_cases.h"

namespace mlxs {
namespace {

using testing::character_borders;
using testing::OutputCase;
using testing::parse_pieces;

std::string describe(const OutputDelta& delta) {
  std::string text = "reasoning: " + delta.reasoning + "\ntext: " + delta.text;
  for (const ToolCallDelta& call : delta.tool_calls)
    text += "\ncall " + std::to_string(call.index) + ": " + call.name + ' ' + call.arguments;
  return text;
}

std::vector<std::string_view> cut(std::string_view text, const std::vector<std::size_t>& borders) {
  std::vector<std::string_view> pieces;
  std::size_t start = 0;
  for (const std::size_t border : borders) {
    pieces.push_back(text.substr(start, border - start));
    start = border;
  }
  pieces.push_back(text.substr(start));
  return pieces;
}

TEST(OutputParserGoldenTest, outputs_are_told_apart) {
  const std::vector<OutputCase> cases = testing::read_output_cases();
  EXPECT_GE(cases.size(), 100U);
  for (const OutputCase& test_case : cases) {
    SCOPED_TRACE(test_case.name);
    const OutputDelta whole = parse_pieces(test_case.options, {test_case.output});
    EXPECT_EQ(describe(whole), describe(test_case.expected));
  }
}

TEST(OutputParserGoldenTest, a_stream_gives_the_same_at_every_cut) {
  std::mt19937 random(3);
  for (const OutputCase& test_case : testing::read_output_cases()) {
    SCOPED_TRACE(test_case.name);
    const OutputDelta whole = parse_pieces(test_case.options, {test_case.output});
    const std::vector<std::size_t> borders = character_borders(test_case.output);
    EXPECT_EQ(parse_pieces(test_case.options, cut(test_case.output, borders)), whole);
    for (const std::size_t border : borders)
      ASSERT_EQ(parse_pieces(test_case.options, cut(test_case.output, {border})), whole) << border;
    for (int i = 0; i < 50; ++i) {
      std::vector<std::size_t> some;
      for (const std::size_t border : borders)
        if (random() % 4 == 0) some.push_back(border);
      ASSERT_EQ(parse_pieces(test_case.options, cut(test_case.output, some)), whole);
    }
  }
}

}  // namespace
}  // namespace mlxs
