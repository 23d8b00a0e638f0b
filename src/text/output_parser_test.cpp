// What holds of every output: streaming changes nothing, nothing is lost, arguments are JSON, ids
// are as clients want them.
#include "text/output_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/output_delta.h"
#include "text/reasoning_parser/reasoning_format.h"
#include "text/testing/grammar_texts.h"
#include "text/testing/output_cases.h"
#include "text/tool_parser/json_scanner.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {
namespace {

using testing::parse_pieces;

std::string without_blanks(std::string_view text) {
  std::string rest;
  for (const char character : text)
    if (std::string_view(" \n\r\t").find(character) == std::string_view::npos) rest += character;
  return rest;
}

void expect_beginning_of_json(std::string_view text) {
  JsonScanner scanner;
  for (const char character : text)
    ASSERT_NE(scanner.push(character), JsonScanner::Step::failed) << text;
}

// One or two of the committed outputs, a little damaged.
std::string random_output(std::mt19937& random, const std::vector<std::string>& outputs) {
  constexpr std::string_view kDamage = "{}[]()\"',:;=<>|`\\ \na1.";
  std::string text = outputs[random() % outputs.size()];
  if (random() % 2 == 0) text += outputs[random() % outputs.size()];
  const int num_changes = static_cast<int>(random() % 3);
  for (int i = 0; i < num_changes && !text.empty(); ++i) {
    const std::size_t at = random() % text.size();
    if (random() % 2 == 0) {
      text.erase(at, 1 + random() % 3);
    } else {
      text.insert(at, 1, kDamage[random() % kDamage.size()]);
    }
  }
  return text;
}

std::vector<std::string> outputs_of(const ToolFormat& format) {
  std::vector<std::string> outputs;
  for (const testing::OutputCase& test_case : testing::read_output_cases())
    if (test_case.options.tools.format == &format) outputs.push_back(test_case.output);
  return outputs;
}

std::vector<std::string_view> random_pieces(std::mt19937& random, std::string_view text) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const std::size_t length = 1 + random() % std::min<std::size_t>(text.size(), 7);
    pieces.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

TEST(OutputParserTest, random_outputs_stream_as_they_are_and_lose_nothing) {
  std::mt19937 random(11);
  int num_calls = 0;
  for (const ToolFormat* format : tool_formats()) {
    SCOPED_TRACE(format->name);
    const std::vector<std::string> outputs = outputs_of(*format);
    for (int i = 0; i < 4'000; ++i) {
      OutputParserOptions options;
      options.tools = {.format = format, .names = {"get_weather", "add", "now"}};
      const bool has_reasoning = i % 3 == 0;
      if (has_reasoning) options.reasoning.format = find_reasoning_format("think");
      const std::string output = random_output(random, outputs);
      const OutputDelta whole = parse_pieces(options, {output});
      ASSERT_EQ(parse_pieces(options, random_pieces(random, output)), whole) << output;
      for (const ToolCallDelta& call : whole.tool_calls) expect_beginning_of_json(call.arguments);
      num_calls += static_cast<int>(whole.tool_calls.size());
      if (!whole.tool_calls.empty() || has_reasoning) continue;
      ASSERT_EQ(without_blanks(whole.text), without_blanks(output));
    }
  }
  EXPECT_GT(num_calls, 10'000) << "the outputs hold too few calls to show anything";
}

TEST(OutputParserTest, arguments_come_while_they_are_written) {
  OutputParserOptions options;
  options.tools.format = find_tool_format("hermes");
  OutputParser parser(options);
  EXPECT_TRUE(parser.append("<tool_call>\n{\"name\": \"f\", \"arguments\":").is_empty());
  const OutputDelta first = parser.append(" {\"a\": \"x");
  ASSERT_EQ(first.tool_calls.size(), 1U);
  EXPECT_EQ(first.tool_calls[0].name, "f");
  EXPECT_FALSE(first.tool_calls[0].id.empty());
  EXPECT_EQ(first.tool_calls[0].arguments, "{\"a\": \"x");
  const OutputDelta second = parser.append("yz");
  ASSERT_EQ(second.tool_calls.size(), 1U);
  EXPECT_EQ(second.tool_calls[0], (ToolCallDelta{.index = 0, .arguments = "yz"}));
}

TEST(OutputParserTest, text_is_not_held_back_longer_than_a_mark_could_last) {
  OutputParserOptions options;
  options.tools.format = find_tool_format("hermes");
  OutputParser parser(options);
  EXPECT_EQ(parser.append("a <").text, "a");
  EXPECT_EQ(parser.append("b").text, " <b");
  EXPECT_EQ(parser.append("c").text, "c");
}

TEST(OutputParserTest, ids_are_as_clients_expect_them) {
  const std::string calls =
      "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"f\", \"arguments\": {}}]";
  std::set<std::string> ids;
  for (const std::uint64_t seed : {1U, 2U}) {
    OutputParserOptions options;
    options.tools = {.format = find_tool_format("mistral"), .id_seed = seed};
    for (const ToolCallDelta& call : parse_pieces(options, {calls}).tool_calls) {
      EXPECT_EQ(call.id.size(), 9U);
      ids.insert(call.id);
    }
  }
  EXPECT_EQ(ids.size(), 4U);
  OutputParserOptions options;
  options.tools.format = find_tool_format("pythonic");
  const OutputDelta delta = parse_pieces(options, {"[f()]"});
  EXPECT_TRUE(delta.tool_calls.at(0).id.starts_with("call_"));
  EXPECT_EQ(delta.tool_calls.at(0).id.size(), 29U);
}

TEST(OutputParserTest, special_tokens_that_are_marks_are_written) {
  const Tokenizer& tokenizer = testing::tokenizer();
  OutputParserOptions options;
  options.tools.format = find_tool_format("hermes");
  options.reasoning.format = find_reasoning_format("think");
  EXPECT_TRUE(special_ids_in_output(tokenizer, options).empty())
      << "the default model writes these marks as text";
  constexpr ReasoningFormat kFormat = {
      .name = "test", .begin = "<|im_start|>think", .end = "<|im_end|>", .answer_mark = ""
  };
  options.reasoning.format = &kFormat;
  const std::vector<std::int32_t> ids = special_ids_in_output(tokenizer, options);
  EXPECT_EQ(ids, (std::vector<std::int32_t>{1, 2}));
  const std::vector<std::int32_t> output = {1, tokenizer.encode("a").front(), 0, 2};
  EXPECT_EQ(tokenizer.decode(output, {.written_special_ids = ids}), "<|im_start|>a<|im_end|>");
  EXPECT_EQ(tokenizer.decode(output), "a");
}

}  // namespace
}  // namespace mlxs
