// Anthropic's Messages API over HTTP: replies, the order of events, errors, and what is refused.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <string>
#include <vector>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kPath = "/v1/messages";
constexpr const char* kHello = R"("messages":[{"role":"user","content":"hello"}])";

std::string body_of(const std::string& more) {
  return fmt::format(R"({{"model":"fake",{}{}}})", kHello, more);
}

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

std::string text_of(const TestServer& server, const std::string& body) {
  const TestResponse response = server.post(kPath, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return std::string(at(response.json_body(), "/content/0/text").as_string());
}

void expect_error(const TestResponse& response, int status, const char* type, const char* part) {
  EXPECT_EQ(response.status, status) << response.body;
  const json::value body = response.json_body();
  EXPECT_EQ(body.as_object().size(), 3U);
  EXPECT_EQ(at(body, "/type"), "error");
  EXPECT_EQ(at(body, "/error/type"), type) << response.body;
  EXPECT_NE(at(body, "/error/message").as_string().find(part), std::string::npos) << response.body;
  EXPECT_EQ(at(body, "/request_id").as_string(), response.header("request-id"));
}

TEST(Anthropic, Replies) {
  TestServer server;
  const TestResponse response = server.post(kPath, body_of(R"(,"max_tokens":4,"temperature":0)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.header("request-id"), response.header("x-request-id"));
  json::value body = response.json_body();
  EXPECT_TRUE(at(body, "/id").as_string().starts_with("msg_"));
  EXPECT_EQ(at(body, "/content/0/text").as_string().size(), 4U);
  body.as_object().erase("id");
  body.at_pointer("/content/0").as_object().erase("text");
  EXPECT_EQ(
      body,
      parse_json(R"({"type":"message","role":"assistant","model":"fake","content":[{"type":"text"}],
        "stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":23,
        "cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}})")
  );
}

TEST(Anthropic, StreamsTheEventsInOrder) {
  TestServer server;
  const std::string more = R"(,"max_tokens":4,"temperature":0)";
  const TestResponse response = server.post(kPath, body_of(more + R"(,"stream":true)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_TRUE(response.is_complete);
  std::string order;
  std::string text;
  for (const auto& [name, data] : named_events(response.body)) {
    EXPECT_EQ(at(data, "/type").as_string(), name);
    if (name != "content_block_delta" || !order.ends_with("content_block_delta "))
      order += name + " ";
    if (name == "content_block_delta") text += at(data, "/delta/text").as_string();
  }
  EXPECT_EQ(
      order,
      "message_start ping content_block_start content_block_delta content_block_stop message_delta "
      "message_stop "
  );
  EXPECT_EQ(text, text_of(server, body_of(more)));
  const auto events = named_events(response.body);
  EXPECT_EQ(at(events.front().second, "/message/content"), json::array());
  EXPECT_EQ(at(events.front().second, "/message/usage/input_tokens"), 23);
  EXPECT_TRUE(at(events.front().second, "/message/stop_reason").is_null());
  const json::value& last = events[events.size() - 2].second;
  EXPECT_EQ(at(last, "/delta/stop_reason"), "max_tokens");
  EXPECT_EQ(at(last, "/usage/output_tokens"), 4);
}

TEST(Anthropic, NamesTheStopSequence) {
  TestServer server;
  const std::string whole = text_of(server, body_of(R"(,"max_tokens":12,"temperature":0)"));
  const std::string stop = json_quote(whole.substr(5, 2));
  const TestResponse response = server.post(
      kPath,
      body_of(fmt::format(R"(,"max_tokens":12,"temperature":0,"stop_sequences":["zz~~",{}])", stop))
  );
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(at(response.json_body(), "/stop_reason"), "stop_sequence");
  EXPECT_EQ(at(response.json_body(), "/stop_sequence").as_string(), whole.substr(5, 2));
  FakeEngineOptions engine;
  engine.runner.num_output_tokens = 3;
  TestServer ending(TestServer::quick_options(), engine);
  EXPECT_EQ(
      at(ending.post(kPath, body_of(R"(,"max_tokens":12)")).json_body(), "/stop_reason"), "end_turn"
  );
}

TEST(Anthropic, FormsOfTheConversationAreEqual) {
  TestServer server;
  const auto count = [&](const std::string& conversation) {
    const TestResponse response = server.post(
        "/v1/messages/count_tokens", fmt::format(R"({{"model":"fake",{}}})", conversation)
    );
    EXPECT_EQ(response.status, 200) << response.body;
    return at(response.json_body(), "/input_tokens").as_int64();
  };
  EXPECT_EQ(count(kHello), 23);
  EXPECT_EQ(
      count(R"("messages":[{"role":"user","content":[{"type":"text","text":"hel"},
      {"type":"text","text":"lo","cache_control":{"type":"ephemeral"}}]}])"),
      23
  );
  const std::string system = R"("messages":[{"role":"user","content":"hello"}],"system":)";
  EXPECT_EQ(count(system + R"("be")"), 23 + 11);
  EXPECT_EQ(count(system + R"([{"type":"text","text":"be"}])"), 23 + 11);
  EXPECT_EQ(
      count(R"("messages":[{"role":"user","content":"a"},{"role":"user","content":"bc"}])"), 23
  );
  EXPECT_EQ(
      count(R"("messages":[{"role":"user","content":"hello"},{"role":"assistant","content":"So"}])"
      ),
      25
  );
}

TEST(Anthropic, TheAnswerGoesOnWithTheAssistantsBeginning) {
  TestServer server;
  const auto answer = [&](const std::string& turns) {
    return text_of(
        server,
        fmt::format(R"({{"model":"fake","max_tokens":6,"temperature":0,"messages":[{}]}})", turns)
    );
  };
  std::vector<std::int32_t> ids = {257};
  for (const char c : std::string("user:hello")) ids.push_back(c);
  ids.push_back(258);
  ids.push_back(257);
  for (const char c : std::string("assistant:So")) ids.push_back(c);
  EXPECT_EQ(
      answer(R"({"role":"user","content":"hello"},{"role":"assistant","content":"So"})"),
      fake_greedy_text(ids, 6)
  );
}

TEST(Anthropic, ErrorsHaveTheirForm) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  TestServer closed(options);
  expect_error(closed.post(kPath, body_of("")), 401, "authentication_error", "X-API-Key");
  TestClient client(closed.port());
  client.send(request_text("POST", kPath, body_of(R"(,"max_tokens":1)"), "X-API-Key: secret\r\n"));
  EXPECT_EQ(client.receive()->status, 200);

  TestServer server;
  const std::string max = R"(,"max_tokens":4)";
  expect_error(server.post(kPath, "{"), 400, "invalid_request_error", "JSON");
  expect_error(server.post(kPath, body_of("")), 400, "invalid_request_error", "max_tokens");
  expect_error(
      server.post(kPath, body_of(R"(,"max_tokens":1000)")), 400, "invalid_request_error", "context"
  );
  expect_error(
      server.post(kPath, R"({"model":"other","max_tokens":1,"messages":[]})"),
      404,
      "not_found_error",
      "other"
  );
  expect_error(server.ask("GET", kPath), 405, "invalid_request_error", "POST");
}

TEST(Anthropic, RefusesByName) {
  TestServer server;
  const std::vector<std::pair<std::string, const char*>> cases = {
      {R"("tools":[{"type":"bash_20250124","name":"bash"}])", "tools[0].type"},
      {R"("tools":[{"name":"a b","input_schema":{}}])", "tools[0].function.name"},
      {R"("tool_choice":{"type":"any"})", "tool_choice"},
      {R"("thinking":{"type":"enabled","budget_tokens":1024})", "thinking"},
      {R"("mcp_servers":[{}])", "mcp_servers"},
      {R"("output_config":{"effort":"low"})", "output_config"},
      {R"("container":"x")", "container"},
      {R"("temperature":1.5)", "temperature"},
      {R"("stop_sequences":[""])", "stop_sequences[0]"},
      {R"("nonsense":1)", "nonsense"},
      {R"("system":[{"type":"image"}])", "system[0].type"},
  };
  for (const auto& [field, part] : cases) {
    expect_error(
        server.post(kPath, body_of(R"(,"max_tokens":1,)" + field)),
        400,
        "invalid_request_error",
        part
    );
  }
  const auto with_messages = [](const std::string& messages) {
    return R"({"model":"fake","max_tokens":1,"messages":)" + messages + "}";
  };
  expect_error(server.post(kPath, with_messages("[]")), 400, "invalid_request_error", "messages");
  expect_error(
      server.post(kPath, with_messages(R"([{"role":"system","content":"x"}])")),
      400,
      "invalid_request_error",
      "messages[0].role"
  );
  expect_error(
      server.post(
          kPath, with_messages(R"([{"role":"user","content":[{"type":"image","source":{}}]}])")
      ),
      400,
      "invalid_request_error",
      "messages[0].content[0].type"
  );
  expect_error(
      server.post(
          kPath,
          with_messages(R"([{"role":"user","content":"a"},{"role":"assistant","content":"b "}])")
      ),
      400,
      "invalid_request_error",
      "white space"
  );
}

TEST(Anthropic, AFaultWithinAStreamIsItsLastEvent) {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.runner.step_time = std::chrono::milliseconds(5);
  engine.runner.num_pages = 8192;
  TestServer server(TestServer::quick_options(), engine);
  TestClient client(server.port());
  client.send(request_text("POST", kPath, body_of(R"(,"max_tokens":2000,"stream":true)")));
  ASSERT_TRUE(client.receive_until("content_block_delta"));
  server.engine().drain(std::chrono::milliseconds(0));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  const auto events = named_events(response->body);
  EXPECT_EQ(events.back().first, "error");
  EXPECT_EQ(at(events.back().second, "/error/type"), "overloaded_error");
}

}  // namespace
}  // namespace mlxs
