// OpenAI's Responses API over HTTP: replies, the order of events, stored ones, the background, and
// what is refused.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kPath = "/v1/responses";

std::string body_of(const std::string& more) {
  return fmt::format(R"({{"model":"fake","input":"hello"{}}})", more);
}

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

json::value create(const TestServer& server, const std::string& body) {
  const TestResponse response = server.post(kPath, body);
  EXPECT_EQ(response.status, 200) << response.body;
  return response.json_body();
}

std::string id_of(const json::value& response) {
  return std::string(at(response, "/id").as_string());
}

TestResponse get(const TestServer& server, const std::string& id, const std::string& more = {}) {
  return server.ask("GET", fmt::format("{}/{}{}", kPath, id, more));
}

std::string text_of(const json::value& response) {
  return std::string(at(response, "/output/0/content/0/text").as_string());
}

std::string status_of(const TestServer& server, const std::string& id) {
  return std::string(at(get(server, id).json_body(), "/status").as_string());
}

FakeEngineOptions slow_engine() {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.runner.step_time = std::chrono::milliseconds(5);
  engine.runner.num_pages = 8192;
  return engine;
}

void expect_refused(const TestServer& server, const std::string& body, const char* param) {
  const TestResponse response = server.post(kPath, body);
  EXPECT_EQ(response.status, 400) << response.body;
  EXPECT_EQ(at(response.json_body(), "/error/param"), param) << response.body;
}

TEST(Responses, Replies) {
  TestServer server;
  const json::value body =
      create(server, body_of(R"(,"max_output_tokens":4,"temperature":0,"metadata":{"a":"b"})"));
  EXPECT_TRUE(id_of(body).starts_with("resp_"));
  EXPECT_EQ(at(body, "/object"), "response");
  EXPECT_EQ(at(body, "/status"), "incomplete");
  EXPECT_EQ(at(body, "/incomplete_details/reason"), "max_output_tokens");
  EXPECT_EQ(at(body, "/model"), "fake");
  EXPECT_EQ(at(body, "/metadata/a"), "b");
  EXPECT_EQ(at(body, "/max_output_tokens"), 4);
  EXPECT_EQ(at(body, "/output/0/type"), "message");
  EXPECT_EQ(at(body, "/output/0/role"), "assistant");
  EXPECT_EQ(text_of(body).size(), 4U);
  EXPECT_EQ(at(body, "/usage/input_tokens"), 23);
  EXPECT_EQ(at(body, "/usage/output_tokens"), 4);
  EXPECT_EQ(at(body, "/usage/total_tokens"), 27);
  EXPECT_EQ(at(body, "/usage/output_tokens_details/reasoning_tokens"), 0);
  FakeEngineOptions engine;
  engine.runner.num_output_tokens = 3;
  TestServer ending(TestServer::quick_options(), engine);
  EXPECT_EQ(at(create(ending, body_of("")), "/status"), "completed");
}

TEST(Responses, StreamsTheEventsInOrder) {
  FakeEngineOptions engine;
  engine.runner.num_output_tokens = 6;
  TestServer server(TestServer::quick_options(), engine);
  const TestResponse response = server.post(kPath, body_of(R"(,"stream":true,"temperature":0)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(response.is_complete);
  std::string order;
  std::string text;
  std::int64_t number = 0;
  const auto events = named_events(response.body);
  for (const auto& [name, data] : events) {
    EXPECT_EQ(at(data, "/type").as_string(), name);
    EXPECT_EQ(at(data, "/sequence_number"), number++);
    const bool is_delta = name == "response.output_text.delta";
    if (!is_delta || !order.ends_with(name + " ")) order += name + " ";
    if (is_delta) text += at(data, "/delta").as_string();
  }
  EXPECT_EQ(
      order,
      "response.created response.in_progress response.output_item.added "
      "response.content_part.added response.output_text.delta response.output_text.done "
      "response.content_part.done response.output_item.done response.completed "
  );
  const json::value& last = at(events.back().second, "/response");
  EXPECT_EQ(text_of(last), text);
  EXPECT_EQ(text, text_of(create(server, body_of(R"(,"temperature":0)"))));
  EXPECT_EQ(get(server, id_of(last)).json_body(), last);
  EXPECT_EQ(at(events.front().second, "/response/status"), "in_progress");
  EXPECT_EQ(at(events[2].second, "/item/id"), at(last, "/output/0/id"));
}

TEST(Responses, FormsOfTheInputAreEqual) {
  TestServer server;
  const auto tokens = [&](const std::string& more) {
    const TestResponse response =
        server.post("/v1/responses/input_tokens", fmt::format(R"({{"model":"fake",{}}})", more));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(at(response.json_body(), "/object"), "response.input_tokens");
    return at(response.json_body(), "/input_tokens").as_int64();
  };
  EXPECT_EQ(tokens(R"("input":"hello")"), 23);
  EXPECT_EQ(tokens(R"("input":[{"role":"user","content":"hello"}])"), 23);
  EXPECT_EQ(
      tokens(R"("input":[{"type":"message","role":"user","content":[)"
             R"({"type":"input_text","text":"hel"},{"type":"input_text","text":"lo"}]}])"),
      23
  );
  EXPECT_EQ(tokens(R"("instructions":"be","input":"hello")"), 34);
  EXPECT_EQ(
      tokens(R"("input":[{"role":"developer","content":"be"},{"role":"user","content":"hello"}])"),
      34
  );
}

TEST(Responses, AStoredResponseIsReadAndDeleted) {
  TestServer server;
  const json::value body = create(server, body_of(R"(,"max_output_tokens":2)"));
  const std::string id = id_of(body);
  EXPECT_EQ(get(server, id).json_body(), body);
  const json::value items = get(server, id, "/input_items").json_body();
  EXPECT_EQ(at(items, "/data/0/content/0/text"), "hello");
  EXPECT_EQ(at(items, "/has_more"), false);
  const TestResponse deleted = server.ask("DELETE", std::string(kPath) + "/" + id);
  EXPECT_EQ(at(deleted.json_body(), "/deleted"), true);
  for (const TestResponse& gone :
       {get(server, id),
        get(server, id, "/input_items"),
        server.ask("DELETE", std::string(kPath) + "/" + id),
        server.post(std::string(kPath) + "/" + id + "/cancel", "")}) {
    EXPECT_EQ(gone.status, 404) << gone.body;
    EXPECT_EQ(at(gone.json_body(), "/error/type"), "invalid_request_error");
  }
}

TEST(Responses, InputItemsComeInPages) {
  TestServer server;
  const json::value body = create(
      server,
      R"({"model":"fake","max_output_tokens":1,"input":[{"role":"user","content":"a"},
      {"role":"assistant","content":"b"},{"role":"user","content":"c"}]})"
  );
  const std::string id = id_of(body);
  const json::value newest = get(server, id, "/input_items?limit=2").json_body();
  EXPECT_EQ(at(newest, "/data/0/content/0/text"), "c");
  EXPECT_EQ(at(newest, "/data/1/content/0/type"), "output_text");
  EXPECT_EQ(at(newest, "/has_more"), true);
  const std::string after(at(newest, "/last_id").as_string());
  const json::value rest = get(server, id, "/input_items?after=" + after).json_body();
  EXPECT_EQ(at(rest, "/data").as_array().size(), 1U);
  EXPECT_EQ(at(rest, "/data/0/content/0/text"), "a");
  const json::value oldest = get(server, id, "/input_items?order=asc&limit=1").json_body();
  EXPECT_EQ(at(oldest, "/data/0/content/0/text"), "a");
  for (const char* bad : {"?limit=0", "?limit=101", "?limit=x", "?order=up", "?after=none"})
    EXPECT_EQ(get(server, id, std::string("/input_items") + bad).status, 400) << bad;
}

TEST(Responses, NotStoredMeansNotStored) {
  TestServer server;
  const json::value body = create(server, body_of(R"(,"max_output_tokens":2,"store":false)"));
  EXPECT_EQ(at(body, "/store"), false);
  EXPECT_EQ(get(server, id_of(body)).status, 404);
}

TEST(Responses, AResponseFollowsAnother) {
  TestServer server;
  const json::value first =
      create(server, body_of(R"(,"max_output_tokens":3,"temperature":0,"instructions":"once")"));
  const std::string previous = fmt::format(R"(,"previous_response_id":"{}")", id_of(first));
  const json::value second = create(server, body_of(R"(,"max_output_tokens":1)" + previous));
  // hello, the answer of 3 bytes with its frame, and hello again; the instructions are not kept.
  EXPECT_EQ(at(second, "/usage/input_tokens"), 12 + (11 + 3 + 1) + 12 + 11);
  EXPECT_EQ(at(second, "/previous_response_id").as_string(), id_of(first));
  const TestResponse unknown = server.post(kPath, body_of(R"(,"previous_response_id":"resp_x")"));
  EXPECT_EQ(unknown.status, 404) << unknown.body;
}

TEST(Responses, TheBackgroundAnswersLater) {
  TestServer server;
  const json::value body =
      create(server, body_of(R"(,"background":true,"max_output_tokens":3,"temperature":0)"));
  EXPECT_EQ(at(body, "/status"), "in_progress");
  EXPECT_EQ(at(body, "/background"), true);
  const std::string id = id_of(body);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (status_of(server, id) == "in_progress" && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const json::value done = get(server, id).json_body();
  EXPECT_EQ(at(done, "/status"), "incomplete");
  EXPECT_EQ(
      text_of(done), text_of(create(server, body_of(R"(,"max_output_tokens":3,"temperature":0)")))
  );
  const TestResponse late = server.post(fmt::format("{}/{}/cancel", kPath, id), "");
  EXPECT_EQ(at(late.json_body(), "/status"), "incomplete");
}

TEST(Responses, TheBackgroundIsCancelled) {
  TestServer server(TestServer::quick_options(), slow_engine());
  const std::string id = id_of(create(server, body_of(R"(,"background":true)")));
  while (server.engine().stats().num_running == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const TestResponse cancelled = server.post(fmt::format("{}/{}/cancel", kPath, id), "");
  EXPECT_EQ(cancelled.status, 200) << cancelled.body;
  EXPECT_EQ(at(cancelled.json_body(), "/status"), "cancelled");
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
  EXPECT_EQ(status_of(server, id), "cancelled");
}

TEST(Responses, DeletingEndsTheBackground) {
  TestServer server(TestServer::quick_options(), slow_engine());
  const std::string id = id_of(create(server, body_of(R"(,"background":true)")));
  EXPECT_EQ(server.ask("DELETE", std::string(kPath) + "/" + id).status, 200);
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
  EXPECT_EQ(get(server, id).status, 404);
}

TEST(Responses, AFaultInTheBackgroundIsInTheResponse) {
  TestServer server;
  const std::string id =
      id_of(create(server, body_of(R"(,"background":true,"max_output_tokens":1000)")));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (status_of(server, id) == "in_progress" && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const json::value failed = get(server, id).json_body();
  EXPECT_EQ(at(failed, "/status"), "failed");
  EXPECT_EQ(at(failed, "/error/code"), "context_length_exceeded");
}

TEST(Responses, StoppingTheServerEndsTheBackground) {
  TestServer server(TestServer::quick_options(), slow_engine());
  static_cast<void>(create(server, body_of(R"(,"background":true)")));
  server.server().stop();
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
}

TEST(Responses, OnlyTheBackgroundIsCancelled) {
  TestServer server;
  const std::string id = id_of(create(server, body_of(R"(,"max_output_tokens":1)")));
  EXPECT_EQ(server.post(fmt::format("{}/{}/cancel", kPath, id), "").status, 400);
}

TEST(Responses, AFaultWithinAStreamIsItsLastEventAndStored) {
  TestServer server(TestServer::quick_options(), slow_engine());
  TestClient client(server.port());
  client.send(request_text("POST", kPath, body_of(R"(,"stream":true)")));
  ASSERT_TRUE(client.receive_until("output_text.delta"));
  server.engine().drain(std::chrono::milliseconds(0));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  const auto events = named_events(response->body);
  EXPECT_EQ(events.back().first, "response.failed");
  EXPECT_EQ(at(events.back().second, "/response/error/code"), "shutting_down");
  EXPECT_EQ(status_of(server, id_of(at(events.back().second, "/response"))), "failed");
}

TEST(Responses, RefusesByName) {
  TestServer server;
  const std::vector<std::pair<std::string, const char*>> cases = {
      {R"("tools":[{"type":"web_search"}])", "tools[0].type"},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("text":{"format":{"type":"json_schema"}})", "text.format.json_schema"},
      {R"("text":{"verbosity":"low"})", "text.verbosity"},
      {R"("reasoning":{"effort":"high"})", "reasoning.effort"},
      {R"("include":["file_search_call.results"])", "include[0]"},
      {R"("truncation":"auto")", "truncation"},
      {R"("background":true,"store":false)", "background"},
      {R"("background":true,"stream":true)", "background"},
      {R"("conversation":"conv_1")", "conversation"},
      {R"("top_logprobs":21)", "top_logprobs"},
      {R"("max_output_tokens":0)", "max_output_tokens"},
      {R"("metadata":{"a":1})", "metadata.a"},
      {R"("nonsense":1)", "nonsense"},
  };
  for (const auto& [field, param] : cases) expect_refused(server, body_of("," + field), param);
  const auto input = [](const std::string& text) {
    return R"({"model":"fake","input":)" + text + "}";
  };
  expect_refused(server, R"({"model":"fake"})", "input");
  expect_refused(server, input("[]"), "input");
  expect_refused(server, input(R"([{"type":"item_reference","id":"a"}])"), "input[0].type");
  expect_refused(
      server,
      input(R"([{"role":"user","content":[{"type":"input_image"}]}])"),
      "input[0].content[0].type"
  );
  expect_refused(server, input(R"([{"role":"user"}])"), "input[0].content");
  EXPECT_EQ(get(server, "resp_x", "?stream=true").status, 400);
  expect_refused(server, body_of(R"(,"max_output_tokens":1000)"), "input");
}

}  // namespace
}  // namespace mlxs
