// Ollama's API over HTTP: replies, lines of a stream, models, and what is refused.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "server/ollama/rfc3339.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/api/chat";
constexpr const char* kGenerate = "/api/generate";
constexpr const char* kHello = R"("messages":[{"role":"user","content":"hello"}])";

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

std::string chat_body(const std::string& more) {
  return fmt::format(R"({{"model":"fake",{}{}}})", kHello, more);
}
std::string text_body(const std::string& more) {
  return fmt::format(R"({{"model":"fake","prompt":"hello"{}}})", more);
}

std::vector<json::value> lines_of(const TestResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.header("content-type"), "application/x-ndjson");
  EXPECT_TRUE(response.is_complete);
  std::vector<json::value> lines;
  std::string_view rest = response.body;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    lines.push_back(parse_json(rest.substr(0, end)));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return lines;
}

void expect_error(const TestResponse& response, int status, const std::string& part) {
  EXPECT_EQ(response.status, status) << response.body;
  const json::value body = response.json_body();
  EXPECT_EQ(body.as_object().size(), 1U);
  EXPECT_NE(at(body, "/error").as_string().find(part), std::string::npos) << response.body;
}

TEST(Ollama, StreamsChatsUnlessToldOtherwise) {
  TestServer server;
  const std::string options = R"(,"options":{"temperature":0,"num_predict":4})";
  const std::vector<json::value> lines = lines_of(server.post(kChat, chat_body(options)));
  ASSERT_GE(lines.size(), 2U);
  std::string text;
  for (const json::value& line : lines) {
    EXPECT_EQ(at(line, "/model"), "fake");
    EXPECT_EQ(at(line, "/message/role"), "assistant");
    EXPECT_EQ(at(line, "/done").as_bool(), &line == &lines.back());
    text += at(line, "/message/content").as_string();
  }
  const json::value& last = lines.back();
  EXPECT_EQ(at(last, "/done_reason"), "length");
  EXPECT_EQ(at(last, "/prompt_eval_count"), 23);
  EXPECT_EQ(at(last, "/eval_count"), 4);
  EXPECT_GE(at(last, "/total_duration").as_int64(), at(last, "/eval_duration").as_int64());
  const TestResponse whole = server.post(kChat, chat_body(options + R"(,"stream":false)"));
  EXPECT_EQ(whole.header("content-type"), "application/json");
  EXPECT_EQ(at(whole.json_body(), "/message/content").as_string(), text);
  EXPECT_EQ(at(whole.json_body(), "/done"), true);
}

TEST(Ollama, GenerateAppliesTheTemplateUnlessRaw) {
  TestServer server;
  const auto ask = [&](const std::string& more) {
    const TestResponse response = server.post(
        kGenerate,
        text_body(R"(,"stream":false,"options":{"temperature":0,"num_predict":4})" + more)
    );
    EXPECT_EQ(response.status, 200) << response.body;
    return response.json_body();
  };
  EXPECT_EQ(at(ask(""), "/prompt_eval_count"), 23);
  EXPECT_EQ(at(ask(R"(,"system":"be")"), "/prompt_eval_count"), 34);
  const json::value raw = ask(R"(,"raw":true)");
  EXPECT_EQ(at(raw, "/prompt_eval_count"), 5);
  EXPECT_EQ(at(raw, "/response").as_string(), fake_greedy_text({'h', 'e', 'l', 'l', 'o'}, 4));
}

TEST(Ollama, ARequestWithoutAPromptOnlyLoads) {
  TestServer server;
  for (const auto& [path, body] : std::vector<std::pair<const char*, const char*>>{
           {kGenerate, R"({"model":"fake"})"}, {kChat, R"({"model":"fake","messages":[]})"}
       }) {
    const json::value reply = server.post(path, body).json_body();
    EXPECT_EQ(at(reply, "/done"), true);
    EXPECT_EQ(at(reply, "/done_reason"), "load");
  }
  EXPECT_EQ(server.engine().stats().num_requests_finished, 0U);
}

TEST(Ollama, AModelMayHaveTheTagLatest) {
  TestServer server;
  const std::string more = R"(,"stream":false,"options":{"num_predict":1}})";
  EXPECT_EQ(server.post(kGenerate, R"({"model":"fake:latest","prompt":"a")" + more).status, 200);
  expect_error(server.post(kGenerate, R"({"model":"fake:7b","prompt":"a")" + more), 404, "fake:7b");
}

TEST(Ollama, OptionsReachTheEngine) {
  TestServer server;
  const std::string whole = fake_greedy_text({'h', 'e', 'l', 'l', 'o'}, 8);
  const TestResponse response = server.post(
      kGenerate,
      text_body(fmt::format(
          R"(,"raw":true,"stream":false,"options":{{"temperature":0,"num_predict":8,"num_ctx":64,)"
          R"("num_thread":2,"mirostat":0,"repeat_last_n":-1,"stop":[{}]}})",
          json_quote(whole.substr(4, 2))
      ))
  );
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(
      at(response.json_body(), "/response").as_string(),
      whole.substr(0, whole.find(whole.substr(4, 2)))
  );
  EXPECT_EQ(at(response.json_body(), "/done_reason"), "stop");
}

TEST(Ollama, RefusesByName) {
  TestServer server;
  const std::vector<std::pair<std::string, const char*>> cases = {
      {R"("format":"yaml")", "format"},
      {R"("format":{"unevaluatedProperties":false})", "unevaluatedProperties"},
      {R"("think":true)", "think"},
      {R"("think":"high")", "think"},
      {R"("options":{"tfs_z":0.5})", "options.tfs_z"},
      {R"("options":{"temperature":-1})", "options.temperature"},
      {R"("options":{"num_ctx":100000})", "options.num_ctx"},
      {R"("options":{"nonsense":1})", "options.nonsense"},
      {R"("nonsense":1)", "nonsense"},
      {R"("keep_alive":[])", "keep_alive"},
  };
  for (const auto& [field, part] : cases) {
    expect_error(server.post(kChat, chat_body("," + field)), 400, part);
    expect_error(server.post(kGenerate, text_body("," + field)), 400, part);
  }
  expect_error(server.post(kChat, chat_body(R"(,"tools":[{}])")), 400, "tools");
  expect_error(server.post(kGenerate, text_body(R"(,"suffix":"x")")), 400, "suffix");
  expect_error(server.post(kGenerate, text_body(R"(,"images":["eA=="])")), 400, "images");
  expect_error(
      server.post(
          kChat, R"({"model":"fake","messages":[{"role":"user","content":"a","images":["eA=="]}]})"
      ),
      400,
      "messages[0].images"
  );
  expect_error(server.post(kChat, "{"), 400, "JSON");
  const std::string options =
      R"(,"format":"","tools":[],"think":false,"keep_alive":"5m","options":{"num_predict":1})";
  EXPECT_EQ(server.post(kChat, chat_body(options)).status, 200);
}

TEST(Ollama, ListsAndShowsTheModel) {
  ServerOptions options = TestServer::quick_options();
  options.model_aliases = {"other"};
  TestServer server(options);
  const json::value tags = server.ask("GET", "/api/tags").json_body();
  ASSERT_EQ(at(tags, "/models").as_array().size(), 2U);
  EXPECT_EQ(at(tags, "/models/1/model"), "other");
  EXPECT_EQ(at(tags, "/models/0/details/family"), "fake");
  const json::value shown = server.post("/api/show", R"({"model":"fake"})").json_body();
  EXPECT_EQ(at(shown, "/model_info").at("fake.context_length"), 128);
  EXPECT_EQ(at(shown, "/capabilities/0"), "completion");
  expect_error(server.post("/api/show", R"({"model":"none"})"), 404, "none");
  EXPECT_EQ(at(server.ask("GET", "/api/ps").json_body(), "/models/0/context_length"), 128);
  EXPECT_FALSE(at(server.ask("GET", "/api/version").json_body(), "/version").as_string().empty());
}

TEST(Ollama, AFaultWithinAStreamIsItsLastLine) {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.runner.step_time = std::chrono::milliseconds(5);
  engine.runner.num_pages = 8192;
  TestServer server(TestServer::quick_options(), engine);
  TestClient client(server.port());
  client.send(request_text("POST", kChat, chat_body("")));
  ASSERT_TRUE(client.receive_until("content"));
  server.engine().drain(std::chrono::milliseconds(0));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_TRUE(lines_of(*response).back().as_object().contains("error"));
}

TEST(Ollama, TimesAreRfc3339) {
  using std::chrono::microseconds;
  const std::chrono::system_clock::time_point time(microseconds(1'700'000'000'000'042));
  EXPECT_EQ(rfc3339(time), "2023-11-14T22:13:20.000042Z");
}

}  // namespace
}  // namespace mlxs
