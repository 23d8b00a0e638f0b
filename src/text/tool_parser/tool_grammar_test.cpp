// The grammars that force calls: what they accept, the format's own parser understands.
#include "text/tool_parser/tool_grammar.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar.h"
#include "text/output_delta.h"
#include "text/testing/grammar_texts.h"
#include "text/tool_parser/tool_format.h"
#include "text/tool_parser/tool_parser.h"

namespace mlxs {
namespace {

using testing::accepts;
using testing::default_vocabulary;

const std::vector<ToolFunction>& functions() {
  static const std::vector<ToolFunction> kFunctions = {
      {.name = "get_weather",
       .parameters_json = R"({"type":"object","properties":{"city":{"type":"string"},
           "days":{"type":"integer","minimum":1,"maximum":9}},"required":["city"],"additionalProperties":false})"
      },
      {.name = "now",
       .parameters_json = R"({"type":"object","properties":{},"additionalProperties":false})"},
  };
  return kFunctions;
}

struct Sample {
  std::string_view format;
  std::string two_calls;  // get_weather(city="Oslo", days=3) and now()
  std::string wrong_name;
  std::string wrong_argument;
};

std::vector<Sample> samples() {
  const std::string bar = "\xEF\xBD\x9C";
  const std::string low = "\xE2\x96\x81";
  const std::string begin = "<" + bar + "tool" + low + "call" + low + "begin" + bar + ">function<" +
                            bar + "tool" + low + "sep" + bar + ">";
  const std::string end = "\n```<" + bar + "tool" + low + "call" + low + "end" + bar + ">";
  const std::string all = "<" + bar + "tool" + low + "calls" + low + "begin" + bar + ">";
  const std::string none = "<" + bar + "tool" + low + "calls" + low + "end" + bar + ">";
  const auto json = [](std::string_view key, std::string_view name, std::string_view arguments) {
    return "{\"name\": \"" + std::string(name) + "\", \"" + std::string(key) +
           "\": " + std::string(arguments) + "}";
  };
  const std::string weather = R"({"city": "Oslo", "days": 3})";
  const auto hermes = [](const std::string& call) {
    return "<tool_call>\n" + call + "\n</tool_call>";
  };
  const auto deepseek = [&](std::string_view name, std::string_view arguments) {
    return begin + std::string(name) + "\n```json\n" + std::string(arguments) + end;
  };
  const auto lists = [&](std::string_view format, std::string_view prefix, std::string_view suffix
                     ) {
    const auto make = [&](const std::string& calls) {
      return std::string(prefix) + calls + std::string(suffix);
    };
    return Sample{
        format,
        make(json("arguments", "get_weather", weather) + ", " + json("arguments", "now", "{}")),
        make(json("arguments", "other", "{}")),
        make(json("arguments", "get_weather", R"({"city": 1})"))
    };
  };
  const std::string python = R"(get_weather(city="Oslo", days=3), now())";
  return {
      {"hermes",
       hermes(json("arguments", "get_weather", weather)) + "\n" +
           hermes(json("arguments", "now", "{}")),
       hermes(json("arguments", "other", "{}")),
       hermes(json("arguments", "get_weather", R"({"days": 3})"))},
      {"llama3",
       json("parameters", "get_weather", weather) + "; " + json("parameters", "now", "{}"),
       json("parameters", "other", "{}"),
       json("parameters", "now", R"({"a": 1})")},
      lists("mistral", "[TOOL_CALLS][", "]"),
      lists("phi", "<|tool_call|>[", "]<|/tool_call|>"),
      {"gemma",
       "```tool_code\n[" + python + "]\n```",
       "```tool_code\n[other()]\n```",
       "```tool_code\n[get_weather(city=\"Oslo\", days=30)]\n```"},
      {"deepseek",
       all + deepseek("get_weather", weather) + "\n" + deepseek("now", "{}") + none,
       all + deepseek("other", "{}") + none,
       all + deepseek("get_weather", "{}") + none},
      {"pythonic", '[' + python + ']', "[other()]", "[get_weather(days=3)]"},
  };
}

Grammar compile(const ToolFormat& format, const ToolDemand& demand) {
  const std::optional<GrammarSpec> spec = make_tool_grammar(format, functions(), demand);
  return Grammar::compile(default_vocabulary(), spec.value());
}

TEST(ToolGrammarTest, required_calls_are_forced_and_understood) {
  ASSERT_EQ(samples().size(), tool_formats().size());
  for (const Sample& sample : samples()) {
    SCOPED_TRACE(sample.format);
    const ToolFormat& format = *find_tool_format(sample.format);
    const Grammar grammar = compile(format, {.need = ToolNeed::required});
    EXPECT_TRUE(accepts(grammar, sample.two_calls)) << sample.two_calls;
    EXPECT_FALSE(accepts(grammar, "Hello"));
    EXPECT_FALSE(accepts(grammar, ""));
    EXPECT_FALSE(accepts(grammar, sample.wrong_name)) << sample.wrong_name;
    EXPECT_FALSE(accepts(grammar, sample.wrong_argument)) << sample.wrong_argument;
    const Grammar single =
        compile(format, {.need = ToolNeed::required, .parallel = ParallelCalls::no});
    EXPECT_FALSE(accepts(single, sample.two_calls)) << sample.two_calls;

    ToolParser parser({.format = &format});
    OutputDelta output = parser.append(sample.two_calls);
    output.append(parser.finish());
    EXPECT_EQ(output.text, "");
    ASSERT_EQ(output.tool_calls.size(), 2U);
    EXPECT_EQ(output.tool_calls[0].name, "get_weather");
    EXPECT_EQ(output.tool_calls[0].arguments, R"({"city": "Oslo", "days": 3})");
    EXPECT_EQ(output.tool_calls[1].name, "now");
    EXPECT_EQ(output.tool_calls[1].arguments, "{}");
  }
}

TEST(ToolGrammarTest, free_text_may_come_around_calls_that_are_sound) {
  for (const Sample& sample : samples()) {
    SCOPED_TRACE(sample.format);
    const ToolFormat& format = *find_tool_format(sample.format);
    const ToolDemand demand{.need = ToolNeed::when_called};
    if (format.syntax.trigger.empty()) {
      EXPECT_FALSE(make_tool_grammar(format, functions(), demand).has_value());
      continue;
    }
    const Grammar grammar = compile(format, demand);
    EXPECT_TRUE(accepts(grammar, "It is {\"cold\"} <today>."));
    EXPECT_TRUE(accepts(grammar, "Let me see.\n" + sample.two_calls));
    EXPECT_FALSE(accepts(grammar, "Let me see.\n" + sample.wrong_name));
    EXPECT_FALSE(accepts(grammar, sample.wrong_argument));
  }
}

TEST(ToolGrammarTest, python_arguments_may_be_missing_where_the_schema_lets_them) {
  const std::vector<ToolFunction> functions = {
      {.name = "f", .parameters_json = R"({"type":"object","$defs":{"n":{"type":"integer"}},
           "properties":{"a":{"$ref":"#/$defs/n"},"b":{"type":"boolean"},"c":{"type":"string"}}})"}
  };
  const Grammar grammar = Grammar::compile(
      default_vocabulary(), make_tool_grammar(*find_tool_format("pythonic"), functions, {}).value()
  );
  for (const std::string_view text :
       {"[f()]", "[f(a=1)]", "[f(b=true)]", "[f(a=1, c=\"x\")]", "[f(a=1, b=false, c=\"\")]"})
    EXPECT_TRUE(accepts(grammar, text)) << text;
  for (const std::string_view text : {"[f(, a=1)]", "[f(a=1,)]", "[f(b=true, a=1)]", "[f(a=x)]"})
    EXPECT_FALSE(accepts(grammar, text)) << text;
}

}  // namespace
}  // namespace mlxs
