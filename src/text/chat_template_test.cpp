// Content formats and errors; what templates render is checked in chat_template_golden_test.cpp,
// and their limits in rust/text_ffi/tests.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr const char* kTextOnly =
    "{% for m in messages %}<{{ m.role }}>{{ m.content + '' }}{% endfor %}";
constexpr const char* kParts =
    "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}{% endif "
    "%}{% endfor %}";
constexpr const char* kPartsMessage =
    R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])";

ErrorCode code_of(const char* source, const ChatPrompt& prompt, std::string* message = nullptr) {
  try {
    (void)ChatTemplate(source).render(prompt);
  } catch (const Error& error) {
    if (message) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "rendered: " << source;
  return ErrorCode::engine_error;
}

TEST(ChatTemplateTest, finds_out_whether_a_template_takes_parts) {
  EXPECT_EQ(ChatTemplate(kTextOnly).content_format(), ContentFormat::text);
  EXPECT_EQ(ChatTemplate("{{ messages[0].content }}").content_format(), ContentFormat::text);
  EXPECT_EQ(ChatTemplate("{{ messages | tojson }}").content_format(), ContentFormat::text);
  EXPECT_EQ(ChatTemplate(kParts).content_format(), ContentFormat::parts);
}

TEST(ChatTemplateTest, joins_parts_for_a_template_that_takes_texts) {
  EXPECT_EQ(ChatTemplate(kTextOnly).render({.messages_json = kPartsMessage}), "<user>a\nb");
  EXPECT_EQ(ChatTemplate(kParts).render({.messages_json = kPartsMessage}), "<user>ab");
  EXPECT_EQ(
      code_of(kTextOnly, {.messages_json = R"([{"role":"u","content":[{"type":"image"}]}])"}),
      ErrorCode::unsupported
  );
}

TEST(ChatTemplateTest, gives_the_message_of_a_template_that_raises) {
  std::string message;
  const auto code =
      code_of("{{ raise_exception('roles must alternate') }}", {.messages_json = "[]"}, &message);
  EXPECT_EQ(code, ErrorCode::template_error);
  EXPECT_EQ(message, "roles must alternate");
}

TEST(ChatTemplateTest, tells_errors_of_the_model_from_errors_of_the_request) {
  EXPECT_EQ(code_of("{% if %}", {.messages_json = "[]"}), ErrorCode::invalid_model);
  EXPECT_EQ(code_of("{{ messages.a.b }}", {.messages_json = "[]"}), ErrorCode::template_error);
  EXPECT_EQ(
      code_of("{% for i in range(1000000000) %}{% endfor %}", {.messages_json = "[]"}),
      ErrorCode::template_error
  );
  EXPECT_EQ(code_of("x", {.messages_json = "{}"}), ErrorCode::invalid_request);
  EXPECT_EQ(code_of("x", {.messages_json = "[]", .tools_json = "["}), ErrorCode::invalid_request);
  EXPECT_EQ(
      code_of("x", {.messages_json = "[]", .template_kwargs_json = "[]"}),
      ErrorCode::invalid_request
  );
}

TEST(ChatTemplateTest, names_special_tokens_and_further_variables) {
  const ChatTemplate chat_template(
      "{{ bos_token }}{{ mode }}{{ add_generation_prompt }}", {{"bos_token", "<s>\"\n"}}
  );
  EXPECT_EQ(
      chat_template.render(
          {.messages_json = "[]",
           .template_kwargs_json = R"({"mode":"x"})",
           .add_generation_prompt = false}
      ),
      "<s>\"\nxFalse"
  );
}

TEST(ChatTemplateTest, may_be_rendered_by_several_threads) {
  const ChatTemplate chat_template(kParts);
  std::vector<int> num_wrong(4);
  std::vector<std::thread> threads;
  for (int& wrong : num_wrong) {
    threads.emplace_back([&chat_template, &wrong] {
      for (int i = 0; i < 50; ++i)
        wrong += chat_template.render({.messages_json = kPartsMessage}) != "<user>ab";
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace mlxs
