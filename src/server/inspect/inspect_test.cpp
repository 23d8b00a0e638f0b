// The ring of requests, the timeline of one, and the status of all.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <optional>
#include <string>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/inspect/request_log.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/v1/chat/completions";

std::string body(const std::string& more) {
  return fmt::format(
      R"({{"model":"fake","messages":[{{"role":"user","content":"hello"}}]{}}})", more
  );
}

TEST(RequestLog, KeepsTheNewest) {
  RequestLog log(2);
  const RequestLog::Number first = log.begin("a", "", 1);
  static_cast<void>(log.begin("b", "", 1));
  ASSERT_TRUE(log.find("a"));
  const RequestLog::Number third = log.begin("c", "", 2);
  EXPECT_FALSE(log.find("a"));
  log.finished(first, 0, Finish{});  // it has left the ring
  log.accepted(third, 1, 7);
  log.got_token(third, 1);
  log.dropped(third);
  ASSERT_EQ(log.newest(10).size(), 2U);
  const RequestRecord record = log.newest(1).front();
  EXPECT_EQ(record.id, "c");
  EXPECT_EQ(record.choices[1].prompt_tokens, 7);
  EXPECT_TRUE(record.choices[1].first_token_ms);
  EXPECT_TRUE(record.choices[0].ended_ms);
  EXPECT_FALSE(record.choices[0].finish);
}

TEST(Requests, HaveATimeline) {
  const TestServer server;
  for (const char* stream : {"false", "true"}) {
    const TestResponse answer =
        server.post(kChat, body(fmt::format(R"(,"max_tokens":5,"n":2,"stream":{})", stream)));
    ASSERT_EQ(answer.status, 200);
    const TestResponse found = server.ask("GET", "/v1/requests/" + answer.header("x-request-id"));
    ASSERT_EQ(found.status, 200);
    const json::value request = found.json_body();
    EXPECT_EQ(request.at("id").as_string(), answer.header("x-request-id"));
    ASSERT_EQ(request.at("choices").as_array().size(), 2U);
    const json::value& choice = request.at("choices").as_array()[0];
    EXPECT_EQ(choice.at("state"), "finished");
    EXPECT_EQ(choice.at("finish_reason"), "length");
    EXPECT_EQ(choice.at("usage").at("completion_tokens"), 5);
    EXPECT_EQ(choice.at("prompt_chunks"), 1);
    EXPECT_EQ(choice.at("preemptions"), 0);
    EXPECT_TRUE(choice.at("cache_miss").at("reason").is_string());
    std::string names;
    double last_ms = 0.0;
    for (const json::value& event : choice.at("events").as_array()) {
      names += std::string(event.at("event").as_string()) + " ";
      EXPECT_GE(event.at("at_ms").to_number<double>(), last_ms);
      last_ms = event.at("at_ms").to_number<double>();
    }
    EXPECT_EQ(names, "queued admitted first_token finished ");
    EXPECT_EQ(found.body.find("hello"), std::string::npos);
  }
}

TEST(Requests, ThatFailedOrAreUnknownSaySo) {
  const TestServer server;
  const TestResponse refused = server.post(kChat, body(R"(,"max_tokens":100000)"));
  const json::value failed =
      server.ask("GET", "/v1/requests/" + refused.header("x-request-id")).json_body();
  EXPECT_EQ(failed.at_pointer("/choices/0/state"), "failed");
  EXPECT_EQ(failed.at_pointer("/choices/0/error/code"), "context_length_exceeded");
  EXPECT_EQ(server.ask("GET", "/v1/requests/req_none").status, 404);
}

TEST(Status, ShowsTheSchedulerAndTheNewestRequests) {
  const TestServer server;
  ASSERT_EQ(server.post(kChat, body(R"(,"max_tokens":5)")).status, 200);
  const json::value status = server.ask("GET", "/v1/status").json_body();
  EXPECT_EQ(status.at_pointer("/model/name"), "fake");
  EXPECT_EQ(status.at_pointer("/engine/pages"), 512);
  EXPECT_EQ(status.at_pointer("/engine/requests_finished"), 1);
  EXPECT_GE(status.at_pointer("/engine/steps").to_number<int>(), 5);
  ASSERT_EQ(status.at("requests").as_array().size(), 1U);
  EXPECT_EQ(status.at_pointer("/requests/0/choices/0/state"), "finished");
}

}  // namespace
}  // namespace mlxs
