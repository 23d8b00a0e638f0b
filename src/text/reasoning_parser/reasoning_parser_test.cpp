// What an engine asks of the reasoning: where it ends, how long it was, and how to end it.
#include "text/reasoning_parser/reasoning_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "text/reasoning_parser/reasoning_format.h"

namespace mlxs {
namespace {

TEST(ReasoningParserTest, tokens_within_are_counted_and_the_end_is_seen) {
  ReasoningParser parser({.format = find_reasoning_format("think")});
  EXPECT_FALSE(parser.has_ended());
  for (const std::string_view token : {"<think>", "\n"}) (void)parser.append(token);
  EXPECT_TRUE(parser.is_inside());
  for (const std::string_view token : {"Well", ", ", "yes"}) (void)parser.append(token);
  EXPECT_EQ(parser.num_tokens(), 4);
  (void)parser.append("</think>");
  EXPECT_TRUE(parser.has_ended());
  (void)parser.append("\n\nYes.");
  EXPECT_EQ(parser.num_tokens(), 4);
}

TEST(ReasoningParserTest, a_prompt_that_opened_the_reasoning_is_taken_at_its_word) {
  ReasoningParser parser({.format = find_reasoning_format("think"), .start = ReasoningStart::inside}
  );
  EXPECT_TRUE(parser.is_inside());
  EXPECT_EQ(parser.append("a </thi").reasoning, "a");
  EXPECT_EQ(parser.append("nk> b").answer, "b");
}

TEST(ReasoningParserTest, an_output_without_reasoning_has_ended_it_at_once) {
  ReasoningParser parser({.format = find_reasoning_format("think")});
  EXPECT_EQ(parser.append(" <").answer, "");
  EXPECT_EQ(parser.append("b>").answer, " <b>");
  EXPECT_TRUE(parser.has_ended());
  ReasoningParser none({});
  EXPECT_TRUE(none.has_ended());
  EXPECT_EQ(none.append("<think>").answer, "<think>");
  EXPECT_EQ(none.closing_text(), "");
}

TEST(ReasoningParserTest, the_closing_text_closes) {
  for (const ReasoningFormat& format : reasoning_formats()) {
    ReasoningParser parser({.format = &format, .start = ReasoningStart::inside});
    ReasoningDelta delta = parser.append("because");
    delta.reasoning += parser.append(parser.closing_text()).reasoning;
    EXPECT_TRUE(parser.has_ended()) << format.name;
    EXPECT_EQ(delta.reasoning, "because");
    EXPECT_EQ(parser.append("Yes").answer, "Yes");
  }
}

}  // namespace
}  // namespace mlxs
