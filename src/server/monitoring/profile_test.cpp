// A profile over HTTP while a request runs.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

TEST(Profile, HasTheStepsOfItsTime) {
  TestServer server;
  std::atomic<bool> is_over = false;
  std::thread asking([&] {
    constexpr const char* kBody =
        R"({"model":"fake","prompt":"hello","max_tokens":8,"ignore_eos":true})";
    while (!is_over) (void)server.post("/v1/completions", kBody);
  });
  const TestResponse profile = server.ask("POST", "/debug/profile?seconds=0.3");
  is_over = true;
  asking.join();
  ASSERT_EQ(profile.status, 200);
  const json::value body = profile.json_body();
  int num_steps = 0;
  for (const json::value& event : body.at("traceEvents").as_array())
    num_steps += event.at("name") == "step" ? 1 : 0;
  EXPECT_GT(num_steps, 0);
}

TEST(Profile, RefusesOtherTimes) {
  TestServer server;
  for (const char* seconds : {"0", "61", "x", "", "1x", "nan"})
    EXPECT_EQ(server.ask("POST", std::string("/debug/profile?seconds=") + seconds).status, 400)
        << seconds;
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  EXPECT_EQ(TestServer(options).ask("POST", "/debug/profile").status, 401);
}

}  // namespace
}  // namespace mlxs
