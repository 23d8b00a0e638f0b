// Seeded mutations of sound requests: every reply has the API's shape, nothing hangs, and a sound
// request in between is answered as ever. MLX_SERVING_TEST_SEED replays another run.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/testing/test_scale.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using testing::scaled_count;

using Clock = std::chrono::steady_clock;
using Random = std::mt19937;

std::vector<std::string> sound_requests() {
  return {
      request_text("GET", "/v1/models"),
      request_text("GET", "/v1/models/fake"),
      request_text("GET", "/health"),
      request_text(
          "POST",
          "/v1/completions",
          R"({"model":"fake","prompt":["a","b"],"max_tokens":3,"n":2,"seed":5,"stop":["x","yy"]})"
      ),
      request_text(
          "POST",
          "/v1/completions",
          R"({"model":"fake","prompt":[[1,2],[3]],"max_tokens":3,"stream":true,"logit_bias":{"97":1.5}})"
      ),
      request_text(
          "POST",
          "/v1/chat/completions",
          R"({"model":"fake","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]}],"max_tokens":4,"temperature":0.5,"top_p":0.9,"top_k":4})"
      ),
      request_text(
          "POST",
          "/v1/chat/completions",
          R"({"model":"fake","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"max_tokens":2})"
      ),
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2d\r\n"
      R"({"model":"fake","prompt":"x","max_tokens":2 })"
      "\r\n0\r\n\r\n",
  };
}

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> kFragments = {
      "\r\n",
      "\n",
      "\r",
      std::string(1, '\0'),
      " ",
      "\t",
      ":",
      "\"",
      "{",
      "}",
      "[",
      "]",
      ",",
      "null",
      "true",
      "-1",
      "1e309",
      "18446744073709551616",
      "NaN",
      "\\u0000",
      "\\ud800",
      "\xff",
      "\xc3",
      "\xf0\x9f\x98\x80",
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Host: evil\r\n",
      "HTTP/1.0",
      "%00",
      "..",
      "/",
      "?",
      "0\r\n\r\n",
      "fffffff\r\n",
      "Expect: 100-continue\r\n",
      "[[[[[[[[[[[[[[[[",
      "\"max_tokens\":",
      "\"n\":8,"
  };
  return kFragments;
}

std::size_t pick(Random& random, std::size_t count) { return random() % count; }

void mutate(std::string& bytes, Random& random) {
  const std::size_t at = pick(random, bytes.size() + 1);
  switch (pick(random, 7)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(random());
      return;
    case 1:
      bytes.insert(at, 1, static_cast<char>(random()));
      return;
    case 2:
      bytes.erase(at, 1 + pick(random, 8));
      return;
    case 3:
      bytes.insert(at, fragments()[pick(random, fragments().size())]);
      return;
    case 4: {
      const std::string& fragment = fragments()[pick(random, fragments().size())];
      bytes.replace(at, fragment.size(), fragment);
      return;
    }
    case 5: {
      const std::string piece = bytes.substr(at, 1 + pick(random, 64));
      bytes.insert(pick(random, bytes.size() + 1), piece);
      return;
    }
    default:
      bytes.resize(at);
      return;
  }
}

void expect_api_shape(const TestResponse& response) {
  EXPECT_FALSE(response.header("x-request-id").empty());
  EXPECT_TRUE(response.is_complete);
  if (response.status < 400) return;
  EXPECT_LT(response.status, 506);
  const json::value body = response.json_body();
  const json::object& error = body.at("error").as_object();
  EXPECT_TRUE(error.at("message").is_string());
  EXPECT_TRUE(error.at("type").is_string());
  EXPECT_TRUE(error.contains("param") && error.contains("code"));
}

TEST(Mutation, RepliesKeepTheirShape) {
  ServerOptions options = TestServer::quick_options();
  options.header_timeout = std::chrono::milliseconds(40);
  options.body_timeout = std::chrono::milliseconds(40);
  options.idle_timeout = std::chrono::milliseconds(200);
  TestServer server(options);
  const char* seed_text = std::getenv("MLX_SERVING_TEST_SEED");
  const unsigned seed =
      seed_text == nullptr ? 1U : static_cast<unsigned>(std::strtoul(seed_text, nullptr, 10));
  Random random(seed);
  const std::vector<std::string> seeds = sound_requests();
  const std::size_t num_requests = scaled_count(10'000);
  std::size_t num_errors = 0;
  for (std::size_t i = 0; i < num_requests; ++i) {
    std::string bytes = seeds[pick(random, seeds.size())];
    const std::size_t num_mutations = 1 + pick(random, 4);
    for (std::size_t m = 0; m < num_mutations; ++m) mutate(bytes, random);
    SCOPED_TRACE(fmt::format("seed {} request {}", seed, i));
    const Clock::time_point start = Clock::now();
    TestClient client(server.port());
    client.send(bytes);
    auto response = client.receive();
    if (response && response->status == 100) response = client.receive();
    if (response && response->status != 200 && bytes.starts_with("HEAD")) continue;
    if (response) expect_api_shape(*response);
    if (response && response->status >= 400) ++num_errors;
    EXPECT_NE(response ? response->status : 0, 500);
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
    if (i % 100 == 0) {
      EXPECT_EQ(
          server.post("/v1/completions", R"({"model":"fake","prompt":"x","max_tokens":2})").status,
          200
      );
    }
    if (HasFailure()) FAIL() << "the request was: " << json_quote(bytes);
  }
  EXPECT_GT(num_errors, num_requests / 2);
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace mlxs
