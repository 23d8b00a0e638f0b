// Which format a template or a name means.
#include "text/tool_parser/tool_format.h"

#include <gtest/gtest.h>

#include <string_view>

#include "text/reasoning_parser/reasoning_format.h"

namespace mlxs {
namespace {

TEST(ToolFormatTest, every_format_is_found_by_its_name) {
  EXPECT_EQ(tool_formats().size(), 7U);
  for (const ToolFormat* format : tool_formats())
    EXPECT_EQ(find_tool_format(format->name), format) << format->name;
  EXPECT_EQ(find_tool_format("other"), nullptr);
}

TEST(ToolFormatTest, a_template_tells_its_format) {
  const auto detect = [](std::string_view text) -> std::string_view {
    const ToolFormat* format = detect_tool_format(text);
    return format == nullptr ? "none" : format->name;
  };
  EXPECT_EQ(detect("return a json object within <tool_call></tool_call> XML tags"), "hermes");
  EXPECT_EQ(detect("{{- '[TOOL_CALLS] [' }}"), "mistral");
  EXPECT_EQ(detect("{{- \"<|python_tag|>\" + tool_call.name }}"), "llama3");
  EXPECT_EQ(
      detect(
          R"(Respond in the format {"name": function name, "parameters": {}}. {{ '"parameters": ' }})"
      ),
      "llama3"
  );
  EXPECT_EQ(detect("You should only return [func_name1(params_name1=params_value1)]"), "pythonic");
  EXPECT_EQ(detect("{{ '<|tool|>' + message['tools'] + '<|/tool|>' }}"), "phi");
  EXPECT_EQ(detect("'<|tool_call>call:' + name"), "gemma");
  EXPECT_EQ(
      detect("{{'<\xEF\xBD\x9Ctool\xE2\x96\x81"
             "calls\xE2\x96\x81"
             "begin\xEF\xBD\x9C>'}}"),
      "deepseek"
  );
  EXPECT_EQ(detect("<tool_call>\n<function=example>"), "none") << "a format that we do not have";
  EXPECT_EQ(detect("{% for message in messages %}{{ message.content }}{% endfor %}"), "none");
}

TEST(ReasoningFormatTest, a_template_tells_its_format) {
  const auto detect = [](std::string_view text) -> std::string_view {
    const ReasoningFormat* format = detect_reasoning_format(text);
    return format == nullptr ? "none" : format->name;
  };
  EXPECT_EQ(detect("{{- '<|im_start|>assistant\\n<think>\\n' }}"), "think");
  EXPECT_EQ(detect("[THINK]"), "mistral");
  EXPECT_EQ(detect("<|channel|>analysis"), "harmony");
  EXPECT_EQ(detect("{{ message.content }}"), "none");
  for (const ReasoningFormat& format : reasoning_formats())
    EXPECT_EQ(find_reasoning_format(format.name), &format);
  EXPECT_EQ(find_reasoning_format("other"), nullptr);
}

TEST(ReasoningFormatTest, a_prompt_can_end_within_the_reasoning) {
  const ReasoningFormat& think = *find_reasoning_format("think");
  EXPECT_TRUE(prompt_opens_reasoning(think, "<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(prompt_opens_reasoning(think, "assistant\n<think>\n\n</think>\n\n"));
  EXPECT_FALSE(prompt_opens_reasoning(think, "what is <think>?\nassistant\n"));
  EXPECT_FALSE(prompt_opens_reasoning(think, ""));
}

}  // namespace
}  // namespace mlxs
