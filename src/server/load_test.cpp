// Short forms of the load suite of bench/http: many streams beside idle connections, far more
// requests than fit, and readers that do not read. `make check-full` runs the full numbers.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>

#include "base/testing/test_scale.h"
#include "server/memory_trim.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::scaled_count;

constexpr const char* kChat = "/v1/chat/completions";

std::string stream_text(int num_tokens) {
  return request_text(
      "POST",
      kChat,
      fmt::format(
          R"({{"model":"fake","messages":[{{"role":"user","content":"hello"}}],"max_tokens":{},"stream":true}})",
          num_tokens
      )
  );
}

std::ptrdiff_t num_descriptors() {
  using Entries = std::filesystem::directory_iterator;
  return std::distance(Entries("/proc/self/fd"), Entries());
}

FakeEngineOptions large_engine() {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.max_sequences = 256;
  engine.max_queue = 2048;
  engine.step_tokens = 512;
  engine.runner.num_pages = 1 << 15;
  return engine;
}

TEST(Load, StreamsBesideIdleConnectionsAllEndWell) {
  TestServer server(TestServer::quick_options(), large_engine());
  const std::ptrdiff_t base = num_descriptors();
  {
    std::deque<TestClient> idle;
    for (std::size_t i = 0; i < scaled_count(500); ++i) idle.emplace_back(server.port());
    std::deque<TestClient> streams;
    for (std::size_t i = 0; i < scaled_count(300); ++i) {
      streams.emplace_back(server.port());
      ASSERT_TRUE(streams.back().send(stream_text(16)));
    }
    for (TestClient& client : streams) {
      const auto response = client.receive();
      ASSERT_TRUE(response);
      EXPECT_EQ(response->status, 200);
      EXPECT_TRUE(response->is_complete);
      EXPECT_EQ(sse_data(response->body).back(), "[DONE]");
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + seconds(10);
  while (num_descriptors() > base && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(milliseconds(5));
  EXPECT_LE(num_descriptors(), base);  // the start may have had one more open for a moment
  EXPECT_TRUE(server.becomes_idle(seconds(5)));
}

TEST(Load, TenTimesWhatFitsIsAnsweredOrRefusedInWords) {
  FakeEngineOptions engine = large_engine();
  engine.max_sequences = 4;
  engine.max_queue = 12;
  engine.runner.step_time = milliseconds(1);
  TestServer server(TestServer::quick_options(), engine);
  std::deque<TestClient> clients;
  for (int i = 0; i < 160; ++i) {
    clients.emplace_back(server.port());
    ASSERT_TRUE(clients.back().send(stream_text(20)));
  }
  int num_complete = 0;
  for (TestClient& client : clients) {
    const auto response = client.receive();
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->is_complete);
    if (response->status == 200) {
      ++num_complete;
      EXPECT_EQ(sse_data(response->body).back(), "[DONE]");
      continue;
    }
    EXPECT_TRUE(response->status == 429 || response->status == 503) << response->status;
    EXPECT_FALSE(response->header("retry-after").empty());
  }
  EXPECT_GE(num_complete, 16);
  EXPECT_LT(num_complete, 160);
}

TEST(Load, ThoseThatDoNotReadAreCutAndHinderNobody) {
  ServerOptions options = TestServer::quick_options();
  options.write_timeout = milliseconds(400);
  TestServer server(options, large_engine());
  std::deque<TestClient> stalled;
  for (int i = 0; i < 16; ++i) {
    stalled.emplace_back(server.port());
    stalled.back().set_receive_buffer(2048);
    ASSERT_TRUE(stalled.back().send(stream_text(4000)));
  }
  TestClient reader(server.port());
  reader.send(stream_text(2000));
  const auto response = reader.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(sse_data(response->body).back(), "[DONE]");
  EXPECT_TRUE(server.becomes_idle(seconds(20)));
}

TEST(RushWatch, TellsTheEndOfARushAFewTimes) {
  RushWatch watch;
  EXPECT_FALSE(watch.has_ended(63));
  EXPECT_FALSE(watch.has_ended(0));  // too few to matter
  EXPECT_FALSE(watch.has_ended(1000));
  EXPECT_FALSE(watch.has_ended(600));
  EXPECT_TRUE(watch.has_ended(400));
  EXPECT_TRUE(watch.has_ended(10));
  EXPECT_TRUE(watch.has_ended(10));
  EXPECT_FALSE(watch.has_ended(10));
}

}  // namespace
}  // namespace mlxs
