// Chat templates against Transformers' apply_chat_template, byte for byte.
#include <gtest/gtest.h>

#include <ctime>
#include <map>

#include "mlx_serving/error.h"
#include "text/chat_template.h"
#include "text/testing/golden_files.h"

namespace mlxs {
namespace {

using testing::read_golden_json;
using testing::to_text;

ChatTemplate::Clock::time_point to_time_point(const json::value& fields) {
  const auto field = [&](std::size_t index) {
    return fields.as_array().at(index).to_number<int>();
  };
  std::tm local{};
  local.tm_year = field(0) - 1900;
  local.tm_mon = field(1) - 1;
  local.tm_mday = field(2);
  local.tm_hour = field(3);
  local.tm_min = field(4);
  local.tm_sec = field(5);
  local.tm_isdst = -1;
  return ChatTemplate::Clock::from_time_t(std::mktime(&local));
}

std::map<std::string, std::string> to_texts(const json::value& object) {
  std::map<std::string, std::string> texts;
  for (const auto& [name, text] : object.as_object()) texts[std::string(name)] = to_text(text);
  return texts;
}

ChatPrompt to_prompt(const json::object& test_case) {
  const auto optional = [&](const char* name) {
    const json::value* value = test_case.if_contains(name);
    return value ? json::serialize(*value) : std::string();
  };
  const json::value* adds = test_case.if_contains("add_generation_prompt");
  return {
      .messages_json = optional("messages"),
      .tools_json = optional("tools"),
      .template_kwargs_json = optional("kwargs"),
      .add_generation_prompt = adds && adds->as_bool(),
  };
}

void expect_cases(
    const ChatTemplate& chat_template, const json::array& cases, ChatTemplate::Clock::time_point now
) {
  for (const json::value& test_case : cases) {
    SCOPED_TRACE(to_text(test_case.at("name")));
    const ChatPrompt prompt = to_prompt(test_case.as_object());
    const json::object& expected = test_case.at("expected").as_object();
    try {
      const std::string text = chat_template.render(prompt, now);
      const json::value* wanted = expected.if_contains("text");
      EXPECT_EQ(text, wanted ? to_text(*wanted) : "an error: " + json::serialize(expected));
    } catch (const Error& error) {
      ASSERT_TRUE(expected.contains("error")) << error.what();
      EXPECT_EQ(error.code(), ErrorCode::template_error);
      if (expected.at("error") != "TemplateError")
        continue;  // an error of Python's own: its words are not ours
      EXPECT_EQ(error.what(), to_text(expected.at("message")));
    }
  }
}

TEST(ChatTemplateGoldenTest, renders_as_transformers) {
  const json::value content = read_golden_json("chat_templates.json");
  const auto now = to_time_point(content.at("now"));
  const json::array& templates = content.at("templates").as_array();
  EXPECT_GE(templates.size(), 12U);
  for (const json::value& item : templates) {
    SCOPED_TRACE(to_text(item.at("name")));
    const ChatTemplate chat_template(
        to_text(item.at("source")), to_texts(content.at("special_tokens"))
    );
    expect_cases(chat_template, item.at("cases").as_array(), now);
  }
}

TEST(ChatTemplateGoldenTest, renders_the_default_models_own) {
  const json::value content = read_golden_json("smollm2.json");
  const ChatTemplate chat_template(to_text(content.at("chat_template")));
  expect_cases(chat_template, content.at("cases").as_array(), ChatTemplate::Clock::now());
}

}  // namespace
}  // namespace mlxs
