#include "bindings/common/event_hub.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

using namespace std::chrono_literals;
using testing::expected_text;
using testing::text_request;

struct Read {
  std::string text;
  std::size_t num_tokens = 0;
  std::string finish;
};

std::map<std::uint64_t, Read> read_all(EventHub& hub) {
  std::map<std::uint64_t, Read> answers;
  while (hub.num_streams() > 0) {
    for (const DoorEvent& event : hub.wait(10s)) {
      Read& read = answers[event.stream_id];
      EXPECT_TRUE(read.finish.empty()) << "an event after the finish";
      read.text += event.text;
      read.num_tokens += event.token_ids.size();
      read.finish = event.finish_json;
    }
  }
  return answers;
}

TEST(EventHub, EachStreamGetsItsOwnEventsAndOneFinish) {
  const auto engine = make_fake_engine();
  EventHub hub;
  std::map<std::uint64_t, std::string> expected;
  for (char c = 'a'; c < 'a' + 6; ++c) {
    const std::string prompt(5, c);
    expected[hub.add(engine->submit(text_request(prompt, 40)))] = expected_text(prompt, 40);
  }
  const auto answers = read_all(hub);
  ASSERT_EQ(answers.size(), expected.size());
  for (const auto& [id, answer] : answers) {
    EXPECT_EQ(answer.text, expected.at(id));
    EXPECT_EQ(answer.num_tokens, 40U);
    EXPECT_EQ(parse_json(answer.finish).at("reason"), "length");
  }
  EXPECT_TRUE(hub.take().empty());
}

TEST(EventHub, WakesOnceUntilItIsTaken) {
  const auto engine = make_fake_engine();
  std::atomic<int> num_wakes = 0;
  EventHub hub([&num_wakes] { ++num_wakes; });
  for (int i = 0; i < 8; ++i) hub.add(engine->submit(text_request("wake", 50)));
  while (!testing::is_idle(*engine)) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(num_wakes, 1);
  EXPECT_EQ(hub.num_wakes(), 1U);
  std::size_t num_finished = 0;
  for (const DoorEvent& event : hub.take()) num_finished += event.finish_json.empty() ? 0U : 1U;
  EXPECT_EQ(num_finished, 8U);
}

TEST(EventHub, NothingToTakeIsATimeoutAndNoError) {
  EventHub hub;
  EXPECT_TRUE(hub.wait(1ms).empty());
  hub.cancel(7);
  hub.discard(7);
}

TEST(EventHub, ACancelledStreamSaysSoAndADiscardedOneNothing) {
  FakeEngineOptions options;
  options.runner.step_time = 1ms;
  const auto engine = make_fake_engine(options);
  EventHub hub;
  const auto cancelled = hub.add(engine->submit(text_request("one", 100)));
  const auto discarded = hub.add(engine->submit(text_request("two", 100)));
  hub.cancel(cancelled);
  hub.discard(discarded);
  const auto answers = read_all(hub);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(parse_json(answers.at(cancelled).finish).at("reason"), "cancelled");
  while (!testing::is_idle(*engine)) std::this_thread::sleep_for(1ms);
}

TEST(EventHub, GoesAwayWhileItsStreamsRun) {
  const auto engine = make_fake_engine({.max_queue = 256});
  for (int i = 0; i < 50; ++i) {
    std::atomic<bool> is_alive = true;
    {
      EventHub hub([&is_alive] { EXPECT_TRUE(is_alive); });
      for (int j = 0; j < 4; ++j) hub.add(engine->submit(text_request("gone", 100)));
    }
    is_alive = false;
  }
  while (!testing::is_idle(*engine)) std::this_thread::sleep_for(1ms);
}

TEST(EventHub, AReaderOnAnotherThreadMissesNothing) {
  const auto engine = make_fake_engine();
  EventHub hub;
  constexpr int kStreams = 40;
  std::size_t num_tokens = 0;
  int num_finished = 0;
  std::thread reader([&] {
    while (num_finished < kStreams) {
      for (const DoorEvent& event : hub.wait(10s)) {
        num_tokens += event.token_ids.size();
        num_finished += event.finish_json.empty() ? 0 : 1;
      }
    }
  });
  for (int i = 0; i < kStreams; ++i) hub.add(engine->submit(text_request("many", 20)));
  reader.join();
  EXPECT_EQ(num_tokens, kStreams * 20U);
}

TEST(EventHub, AFinishTellsWhatWentWrong) {
  const auto engine = make_fake_engine();
  EventHub hub;
  Request request = text_request("bad", 4);
  request.sampling.temperature = 9.0F;
  hub.add(engine->submit(request));
  const auto answers = read_all(hub);
  const json::value finish = parse_json(answers.begin()->second.finish);
  EXPECT_EQ(finish.at("reason"), "error");
  EXPECT_EQ(finish.at("error").at("code"), "invalid_value");
  EXPECT_EQ(finish.at("error").at("param"), "temperature");
}

}  // namespace
}  // namespace mlxs
