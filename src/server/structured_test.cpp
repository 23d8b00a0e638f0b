// Constraints, tools and reasoning through every door, on an engine whose model says what it is
// told.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/testing/fake_engine.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr std::string_view kTemplate =
    "{% for message in messages %}<|role|>{{ message.role }}:{{ message.content }}"
    "{% if message.reasoning_content %}({{ message.reasoning_content }}){% endif %}"
    "{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}<|turn|>{% endfor %}"
    "{% if tools %}<tool_call>{{ tools | tojson }}{% endif %}"
    "{% if add_generation_prompt %}<|role|>assistant:"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{% endif %}";
constexpr std::string_view kScript =
    "I see.\n</think>\n\nLet me.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": [1, "
    "2]}}\n"
    "</tool_call>";
constexpr const char* kFunction =
    R"("name":"add","description":"Adds",)"
    R"("parameters":{"type":"object","properties":{"a":{"enum":[1,22]}},"required":["a"],)"
    R"("additionalProperties":false})";
constexpr std::int32_t kEnd = 256;

FakeEngineOptions big_engine(std::string_view chat_template = {}) {
  FakeEngineOptions options;
  options.chat_template = std::string(chat_template);
  options.context_length = 4096;
  options.runner.num_pages = 8192;
  return options;
}

// A model that thinks, and says the script.
FakeEngineOptions scripted_engine() {
  FakeEngineOptions options = big_engine(kTemplate);
  options.runner.after_step = [](const Batch& batch, StepResult& result) {
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      const std::size_t at = batch.samples[i].output_ids.size() + batch.samples[i].in_flight.size();
      result.tokens[i].id = at < kScript.size() ? kScript[at] : kEnd;
    }
  };
  return options;
}

const json::value& at(const json::value& value, const char* path) { return value.at_pointer(path); }

std::string text_at(const json::value& value, const char* path) {
  return std::string(at(value, path).as_string());
}

std::string tools_field(std::string_view form) {
  std::string text = R"("tools":[)";
  if (form == "chat") text += std::string(R"({"type":"function","function":{)") + kFunction + "}}";
  if (form == "flat") text += std::string(R"({"type":"function",)") + kFunction + "}";
  return text + "]";
}

std::string chat_body(const std::string& more) {
  return R"({"model":"fake","messages":[{"role":"user","content":"1 + 2"}],)" + more + "}";
}

json::value post(const TestServer& server, const char* path, const std::string& body) {
  const TestResponse response = server.post(path, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.json_body();
}

TEST(Structured, ChatTellsReasoningTextAndCallsApart) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const std::string more = tools_field("chat");
  const json::value body = post(server, "/v1/chat/completions", chat_body(more));
  EXPECT_EQ(at(body, "/choices/0/message/reasoning_content"), "I see.");
  EXPECT_EQ(at(body, "/choices/0/message/reasoning"), "I see.");
  EXPECT_EQ(at(body, "/choices/0/message/content"), "Let me.");
  EXPECT_EQ(at(body, "/choices/0/message/tool_calls/0/function/name"), "add");
  EXPECT_EQ(
      parse_json(text_at(body, "/choices/0/message/tool_calls/0/function/arguments")),
      parse_json(R"({"a":[1,2]})")
  );
  EXPECT_EQ(at(body, "/choices/0/finish_reason"), "tool_calls");
  EXPECT_GT(at(body, "/usage/completion_tokens_details/reasoning_tokens").as_int64(), 4);
}

TEST(Structured, ChatStreamsThemAsTheyCome) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const TestResponse response =
      server.post("/v1/chat/completions", chat_body(tools_field("chat") + R"(,"stream":true)"));
  std::string reasoning;
  std::string text;
  std::string arguments;
  std::string name;
  std::string finish;
  int num_argument_pieces = 0;
  for (const std::string& data : sse_data(response.body)) {
    if (data == "[DONE]") continue;
    const json::value chunk = parse_json(data);
    const json::object& choice = at(chunk, "/choices/0").as_object();
    const json::object& delta = choice.at("delta").as_object();
    if (delta.contains("reasoning_content")) reasoning += delta.at("reasoning_content").as_string();
    if (delta.contains("content")) text += delta.at("content").as_string();
    if (delta.contains("tool_calls")) {
      const json::value& call = delta.at("tool_calls").at(0);
      if (call.as_object().contains("id")) name += call.at_pointer("/function/name").as_string();
      arguments += call.at_pointer("/function/arguments").as_string();
      ++num_argument_pieces;
    }
    if (choice.at("finish_reason").is_string()) finish = choice.at("finish_reason").as_string();
  }
  EXPECT_EQ(reasoning, "I see.");
  EXPECT_EQ(text, "Let me.");
  EXPECT_EQ(name, "add");
  EXPECT_EQ(parse_json(arguments), parse_json(R"({"a":[1,2]})"));
  EXPECT_EQ(finish, "tool_calls");
  EXPECT_GE(num_argument_pieces, 1);
}

TEST(Structured, ReasoningCanBeLeftOut) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const json::value body =
      post(server, "/v1/chat/completions", chat_body(R"("include_reasoning":false)"));
  EXPECT_FALSE(at(body, "/choices/0/message").as_object().contains("reasoning_content"));
}

TEST(Structured, AnthropicHasABlockForEach) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const std::string more = R"("max_tokens":900,"tools":[{"name":"add","input_schema":{}}])";
  const json::value body = post(server, "/v1/messages", chat_body(more));
  EXPECT_EQ(at(body, "/content/0/type"), "thinking");
  EXPECT_EQ(at(body, "/content/0/thinking"), "I see.");
  EXPECT_EQ(at(body, "/content/1/text"), "Let me.");
  EXPECT_EQ(at(body, "/content/2/type"), "tool_use");
  EXPECT_EQ(at(body, "/content/2/input"), parse_json(R"({"a":[1,2]})"));
  EXPECT_EQ(at(body, "/stop_reason"), "tool_use");
  const TestResponse stream = server.post("/v1/messages", chat_body(more + R"(,"stream":true)"));
  std::string starts;
  std::string json_text;
  for (const auto& [name, data] : named_events(stream.body)) {
    if (name == "content_block_start") starts += text_at(data, "/content_block/type") + " ";
    if (name == "content_block_delta" && at(data, "/delta/type") == "input_json_delta")
      json_text += text_at(data, "/delta/partial_json");
  }
  EXPECT_EQ(starts, "thinking text tool_use ");
  EXPECT_EQ(parse_json(json_text), parse_json(R"({"a":[1,2]})"));
}

TEST(Structured, ResponsesHaveAnItemForEach) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const std::string asked = R"({"model":"fake","input":"1 + 2",)" + tools_field("flat");
  const json::value body = post(server, "/v1/responses", asked + "}");
  EXPECT_EQ(at(body, "/output/0/type"), "reasoning");
  EXPECT_EQ(at(body, "/output/0/content/0/text"), "I see.");
  EXPECT_EQ(at(body, "/output/1/content/0/text"), "Let me.");
  EXPECT_EQ(at(body, "/output/2/type"), "function_call");
  EXPECT_EQ(parse_json(text_at(body, "/output/2/arguments")), parse_json(R"({"a":[1,2]})"));
  const TestResponse stream = server.post("/v1/responses", asked + R"(,"stream":true})");
  std::string order;
  std::string arguments;
  for (const auto& [name, data] : named_events(stream.body)) {
    if (name == "response.output_item.done") order += text_at(data, "/item/type") + " ";
    if (name == "response.function_call_arguments.delta") arguments += text_at(data, "/delta");
    if (name == "response.function_call_arguments.done") {
      EXPECT_EQ(text_at(data, "/arguments"), arguments);
    }
  }
  EXPECT_EQ(order, "reasoning message function_call ");
  // The answer of the tool, after what was stored.
  const std::string next = R"({"model":"fake","previous_response_id":")" + text_at(body, "/id") +
                           R"(","input":[{"type":"function_call_output","call_id":")" +
                           text_at(body, "/output/2/call_id") + R"(","output":"3"}]})";
  EXPECT_EQ(server.post("/v1/responses", next).status, 200);
}

TEST(Structured, OllamaHasThinkingAndCallsAsObjects) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const std::string more = tools_field("chat");
  const json::value body = post(server, "/api/chat", chat_body(more + R"(,"stream":false)"));
  EXPECT_EQ(at(body, "/message/thinking"), "I see.");
  EXPECT_EQ(at(body, "/message/content"), "Let me.");
  EXPECT_EQ(at(body, "/message/tool_calls/0/function/arguments"), parse_json(R"({"a":[1,2]})"));
  const TestResponse stream = server.post("/api/chat", chat_body(more));
  EXPECT_NE(stream.body.find(R"("tool_calls":[{"function":{"name":"add")"), std::string::npos)
      << stream.body;
}

// The model does not want to call: the grammar makes it.
TEST(Structured, ARequiredToolIsCalledAsItsSchemaWants) {
  for (const char* choice : {R"("required")", R"({"type":"function","function":{"name":"add"}})"}) {
    TestServer server(TestServer::quick_options(), big_engine());
    const json::value body = post(
        server,
        "/v1/chat/completions",
        chat_body(tools_field("chat") + R"(,"parallel_tool_calls":false,"tool_choice":)" + choice)
    );
    const json::array& calls = at(body, "/choices/0/message/tool_calls").as_array();
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(at(calls[0], "/function/name"), "add");
    const json::value arguments = parse_json(text_at(calls[0], "/function/arguments"));
    EXPECT_TRUE(arguments.at("a") == 1 || arguments.at("a") == 22) << arguments;
    EXPECT_EQ(at(body, "/choices/0/finish_reason"), "tool_calls");
    EXPECT_TRUE(at(body, "/choices/0/message/content").is_null());
  }
}

TEST(Structured, EveryDoorKeepsToASchema) {
  TestServer server(TestServer::quick_options(), big_engine());
  const std::string schema = R"({"type":"object","properties":{"a":{"enum":["x","yy"]}},)"
                             R"("required":["a"],"additionalProperties":false})";
  const std::string text = R"("prompt":"x",)";
  struct Door {
    const char* path;
    std::string body;
    const char* text;
  };
  const std::vector<Door> doors = {
      {"/v1/chat/completions",
       chat_body(
           R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)" +
           schema + "}}"
       ),
       "/choices/0/message/content"},
      {"/v1/chat/completions", chat_body(R"("guided_json":)" + schema), "/choices/0/message/content"
      },
      {"/v1/completions",
       R"({"model":"fake","prompt":"x","max_tokens":200,"structured_outputs":{"json":)" + schema +
           "}}",
       "/choices/0/text"},
      {"/v1/responses",
       R"({"model":"fake","input":"x","text":{"format":{"type":"json_schema","name":"n","schema":)" +
           schema + "}}}",
       "/output/0/content/0/text"},
      {"/v1/messages",
       chat_body(
           R"("max_tokens":200,"output_config":{"format":{"type":"json_schema","schema":)" +
           schema + "}}"
       ),
       "/content/0/text"},
      {"/api/chat", chat_body(R"("stream":false,"format":)" + schema), "/message/content"},
      {"/api/generate",
       R"({"model":"fake","prompt":"x","stream":false,"format":)" + schema + "}",
       "/response"},
      {"/completion", R"({"prompt":"x","json_schema":)" + schema + "}", "/content"},
  };
  for (const Door& door : doors) {
    SCOPED_TRACE(door.path);
    const json::value answer = parse_json(text_at(post(server, door.path, door.body), door.text));
    EXPECT_TRUE(answer.at("a") == "x" || answer.at("a") == "yy") << answer;
  }
}

TEST(Structured, OtherKindsOfConstraints) {
  TestServer server(TestServer::quick_options(), big_engine());
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("structured_outputs":{"regex":"[a-c]{3}z"})", "z"},
      {R"("structured_outputs":{"choice":["onez","twoz"]})", "z"},
      {R"("structured_outputs":{"grammar":"start: \"a\" \"z\""})", "az"},
      {R"("structured_outputs":{"grammar":"root ::= \"a\" \"z\""})", "az"},
      {R"("structured_outputs":{"json_object":true})", "}"},
      {R"("response_format":{"type":"structural_tag","format":{"type":"const_string","value":"az"}})",
       "az"},
  };
  for (const auto& [field, end] : cases) {
    SCOPED_TRACE(field);
    const json::value body = post(server, "/v1/chat/completions", chat_body(field));
    EXPECT_TRUE(text_at(body, "/choices/0/message/content").ends_with(end)) << body;
    EXPECT_EQ(at(body, "/choices/0/finish_reason"), "stop");
  }
}

TEST(Structured, TwoWishesThatDoNotGoTogetherAreRefused) {
  TestServer server(TestServer::quick_options(), big_engine());
  const TestResponse response = server.post(
      "/v1/chat/completions",
      chat_body(tools_field("chat") + R"(,"response_format":{"type":"json_object"})")
  );
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(at(response.json_body(), "/error/param"), "response_format");
  const TestResponse unknown = server.post(
      "/v1/chat/completions",
      chat_body(
          tools_field("chat") + R"(,"tool_choice":{"type":"function","function":{"name":"sub"}})"
      )
  );
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(at(unknown.json_body(), "/error/param"), "tool_choice");
}

TEST(Structured, ATemplateWithoutToolsIsToldAboutThem) {
  TestServer server(TestServer::quick_options(), big_engine());
  const json::value body = post(
      server,
      "/apply-template",
      R"({"messages":[{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",)"
      R"("function":{"name":"add","arguments":"{\"a\":1}"}}]},)"
      R"({"role":"tool","tool_call_id":"c","content":"3"}],)" +
          tools_field("chat") + "}"
  );
  const std::string prompt = text_at(body, "/prompt");
  EXPECT_NE(prompt.find("<|role|>system:# Tools"), std::string::npos) << prompt;
  EXPECT_NE(
      prompt.find("assistant:<tool_call>\n{\"name\":\"add\",\"arguments\":{\"a\":1}}\n</tool_call>"
      ),
      std::string::npos
  ) << prompt;
  EXPECT_NE(prompt.find("user:<tool_response>\n3\n</tool_response>"), std::string::npos) << prompt;
}

TEST(Structured, AnthropicsCallsAndAnswersReachTheTemplate) {
  TestServer server(TestServer::quick_options(), scripted_engine());
  const std::string body =
      R"({"model":"fake","max_tokens":900,"messages":[{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},)"
      R"({"type":"tool_use","id":"c","name":"add","input":{"a":1}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"3"},)"
      R"({"type":"text","text":"and?"}]}]})";
  EXPECT_EQ(server.post("/v1/messages", body).status, 200);
}

TEST(Structured, ChecksASchema) {
  TestServer server(TestServer::quick_options(), big_engine());
  const json::value good = post(
      server,
      "/v1/schema/check",
      R"({"schema":{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}})"
  );
  EXPECT_EQ(at(good, "/supported"), true);
  EXPECT_TRUE(at(good, "/example").as_object().contains("a"));
  EXPECT_TRUE(at(good, "/compile_ms").is_number());
  const json::value bad =
      post(server, "/v1/schema/check", R"({"schema":{"unevaluatedProperties":false}})");
  EXPECT_EQ(at(bad, "/supported"), false);
  EXPECT_EQ(at(bad, "/error_kind"), "unsupported");
  EXPECT_NE(text_at(bad, "/error").find("unevaluatedProperties"), std::string::npos);
  EXPECT_EQ(server.post("/v1/schema/check", "{}").status, 400);
}

}  // namespace
}  // namespace mlxs
