// What a scraper finds after requests over HTTP.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

void expect_line(const std::string& text, const std::string& line) {
  EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << "\nin\n" << text;
}

TEST(Metrics, CountRequestsOverHttp) {
  TestServer server;
  constexpr const char* kBody =
      R"({"model":"fake","prompt":"hello","max_tokens":3,"ignore_eos":true})";
  ASSERT_EQ(server.post("/v1/completions", kBody).status, 200);
  ASSERT_EQ(server.post("/v1/completions", R"({"model":"fake","prompt":7})").status, 400);
  ASSERT_EQ(server.ask("GET", "/nowhere").status, 404);
  // The last one is counted right after its answer.
  std::string text;
  for (int i = 0; i < 200 && text.find("handler=\"none\"") == std::string::npos; ++i)
    text = server.ask("GET", "/metrics").body;
  expect_line(text, R"(mlx_serving_requests_total{model="fake"} 1)");
  expect_line(text, R"(mlx_serving_generated_tokens_total{model="fake"} 3)");
  expect_line(text, R"(vllm:generation_tokens_total{model_name="fake",engine="0"} 3)");
  expect_line(text, R"(vllm:prompt_tokens_total{model_name="fake",engine="0"} 5)");
  expect_line(text, R"(mlx_serving_key_requests_total{model="fake",key=""} 1)");
  const std::string route = R"(http_requests_total{handler="/v1/completions",method="POST",)";
  expect_line(text, route + R"(status="2xx"} 1)");
  expect_line(text, route + R"(status="4xx"} 1)");
  expect_line(text, R"(http_requests_total{handler="none",method="none",status="4xx"} 1)");
}

TEST(Metrics, LeaveOutNamesThatAreNotAskedFor) {
  TestServer server;
  const TestResponse own = server.ask("GET", "/metrics?names=own");
  EXPECT_EQ(own.status, 200);
  EXPECT_EQ(own.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(own.body.find("vllm:"), std::string::npos);
  EXPECT_EQ(server.ask("GET", "/metrics?names=vllm").body.find("mlx_serving_"), std::string::npos);
  EXPECT_EQ(server.ask("GET", "/metrics?names=theirs").status, 400);
}

TEST(Metrics, AskForAKeyWhereThereIsOne) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  TestServer server(options);
  EXPECT_EQ(server.ask("GET", "/metrics").status, 401);
}

}  // namespace
}  // namespace mlxs
