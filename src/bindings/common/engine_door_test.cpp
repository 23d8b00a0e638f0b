#include "bindings/common/engine_door.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "bindings/common/server_door.h"
#include "engine/testing/ask.h"
#include "mlx_serving/error.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using namespace std::chrono_literals;

// RETURNS: the code and the message of what `act` throws.
std::pair<std::string, std::string> refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return {std::string(error_name(error.code())), error.what()};
  }
  return {"none", ""};
}

bool becomes_idle(const EngineDoor& door) {
  for (int i = 0; i < 10'000; ++i) {
    if (testing::is_idle(*door.engine())) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

std::string read_text(EventHub& hub) {
  std::string text;
  while (hub.num_streams() > 0) {
    for (const DoorEvent& event : hub.wait(10s)) text += event.text;
  }
  return text;
}

TEST(EngineDoor, AnswersAPrompt) {
  const auto door = EngineDoor::open("{}");
  EventHub hub;
  door->submit(hub, R"({"prompt": "hello", "max_tokens": 12, "temperature": 0})");
  EXPECT_EQ(read_text(hub), testing::expected_text("hello", 12));
}

TEST(EngineDoor, PromptsTimesChoicesAreStreams) {
  const auto door = EngineDoor::open("{}");
  EventHub hub;
  const auto ids =
      door->submit(hub, R"({"prompt": ["a", "b"], "n": 3, "max_tokens": 2, "seed": 1})");
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read_text(hub).size(), 12U);
}

TEST(EngineDoor, OptionsAreTheSettings) {
  const auto door = EngineDoor::open(R"({"max_sequences": 3, "context_length": 100})");
  EXPECT_EQ(door->engine()->stats().max_sequences, 3);
  EXPECT_EQ(parse_json(door->model_json()).at("context_length"), 100);

  const auto open = [](std::string_view options) {
    return refusal([options] { static_cast<void>(EngineDoor::open(options)); });
  };
  EXPECT_EQ(
      open(R"({"max_sequences": 0})").second,
      "--max-sequences is \"0\"; it must be an integer from 1 to 4096"
  );
  EXPECT_EQ(open(R"({"max_sequence": 1})").first, "invalid_config");
  EXPECT_EQ(open(R"({"port": 1})").first, "invalid_config") << "a setting of the server alone";
  EXPECT_EQ(open(R"({"model": 7})").first, "invalid_config");
  EXPECT_EQ(open("[]").first, "invalid_config");
  EXPECT_EQ(open("{").first, "invalid_request");
}

TEST(EngineDoor, WhatCannotBeLoadedIsAnErrorOfItsKind) {
  const auto open = [](std::string_view options) {
    return refusal([options] { static_cast<void>(EngineDoor::open(options)); });
  };
  EXPECT_EQ(open(R"({"model": "missing"})").first, "model_not_found");
  EXPECT_EQ(open(R"({"model": "huge"})").first, "engine_error");
  EXPECT_NE(open(R"({"model": "broken"})").second.find("the device is on fire"), std::string::npos);
}

// RETURNS: OpenAI's error object for a body of a completion.
json::value http_error(const ServerDoor& server, const std::string& body) {
  TestClient client(server.port());
  client.send(request_text("POST", "/v1/completions", body));
  return client.receive().value_or(TestResponse{}).json_body().at("error");
}

TEST(EngineDoor, RefusalsAreThoseOfHttp) {
  const auto door = EngineDoor::open("{}");
  const auto server = ServerDoor::start(*door, "{}");
  EventHub hub;
  for (const char* body :
       {R"({"model": "fake", "prompt": "a", "temperature": 9})",
        R"({"model": "fake", "prompt": "a", "temperature": "hot"})",
        R"({"model": "fake", "prompt": "a", "temprature": 1})",
        R"({"model": "fake", "prompt": "a", "max_tokens": 0})",
        R"({"model": "fake", "max_tokens": 1})",
        R"({"model": "gpt-4", "prompt": "a"})",
        R"({"model": "fake", "prompt": "a", "best_of": 3})",
        R"({"model": "fake", "prompt": )"}) {
    const auto [code, message] = refusal([&] { door->submit(hub, body); });
    const json::value error = http_error(*server, body);
    // OpenAI's own code for it is null.
    const json::value wanted = code == "invalid_request" ? json::value(nullptr) : json::value(code);
    EXPECT_EQ(error.at("code"), wanted) << body;
    EXPECT_EQ(error.at("message"), json::value(message)) << body;
  }
  EXPECT_EQ(refusal([&] { door->submit(hub, "[]"); }).first, "invalid_request");
  EXPECT_EQ(hub.num_streams(), 0U);
}

TEST(EngineDoor, AClosedEngineSaysSo) {
  const auto door = EngineDoor::open("{}");
  EventHub hub;
  door->submit(hub, R"({"prompt": "a", "max_tokens": 4000})");
  door->close();
  door->close();
  EXPECT_TRUE(door->is_closed());
  EXPECT_EQ(refusal([&] { door->submit(hub, R"({"prompt": "a"})"); }).first, "shutting_down");
  EXPECT_EQ(refusal([&] { static_cast<void>(door->stats_json()); }).first, "shutting_down");
  static_cast<void>(read_text(hub));  // the streams of a closed engine end
}

TEST(EngineDoor, AForkedChildIsRefusedAndLeavesInPeace) {
  auto door = EngineDoor::open("{}");
  EventHub hub;
  door->submit(hub, R"({"prompt": "a", "max_tokens": 4000})");
  const pid_t child = fork();
  if (child == 0) {
    const auto code = refusal([&] { static_cast<void>(door->stats_json()); }).first;
    door.reset();
    _exit(code == "engine_error" ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  door->close();
}

TEST(EngineDoor, CancellingAtAnyMomentLeavesNoSequence) {
  const auto door = EngineDoor::open(R"({"max_queue": 512})");
  std::mt19937 random(7);
  EventHub hub;
  for (int i = 0; i < 1000; ++i) {
    const auto ids = door->submit(hub, R"({"prompt": "cancel me", "max_tokens": 200})");
    const int num_waits = static_cast<int>(random() % 4);
    for (int wait = 0; wait < num_waits; ++wait) static_cast<void>(hub.take());
    if (random() % 2 == 0) {
      hub.cancel(ids.front());
    } else {
      hub.discard(ids.front());
    }
    while (hub.num_streams() > 32) static_cast<void>(hub.wait(10s));
  }
  static_cast<void>(read_text(hub));
  EXPECT_TRUE(becomes_idle(*door));
}

TEST(EngineDoor, TwoEnginesLiveSideBySide) {
  const auto one = EngineDoor::open("{}");
  auto two = EngineDoor::open(R"({"model": "slow"})");
  EventHub hub;
  one->submit(hub, R"({"prompt": "x", "max_tokens": 30, "temperature": 0})");
  two->submit(hub, R"({"prompt": "x", "max_tokens": 30, "temperature": 0})");
  EXPECT_EQ(read_text(hub).size(), 60U);
  two.reset();
  one->submit(hub, R"({"prompt": "x", "max_tokens": 30, "temperature": 0})");
  EXPECT_EQ(read_text(hub), testing::expected_text("x", 30));
}

TEST(EngineDoor, TextAndFacts) {
  const auto door = EngineDoor::open("{}");
  EXPECT_EQ(door->tokenize("ab", {}), (std::vector<std::int32_t>{97, 98}));
  EXPECT_EQ(door->detokenize(std::vector<std::int32_t>{97, 256}, {}), "a");
  const std::string chat = R"({"messages": [{"role": "user", "content": "hi"}]})";
  EXPECT_EQ(door->apply_template(chat), "<|role|>user:hi<|turn|><|role|>assistant:");
  EXPECT_EQ(door->prompt_token_ids(chat).front(), 257);
  EXPECT_EQ(
      refusal([&] { static_cast<void>(door->apply_template(R"({"prompt": "a"})")); }).first,
      "invalid_request"
  );
  EXPECT_EQ(parse_json(door->model_json()).at("name"), "fake");
  EXPECT_EQ(parse_json(door->health_json()).at("has_pending_work"), false);
  EXPECT_EQ(parse_json(door->stats_json()).at("num_running"), 0);
  EXPECT_EQ(error_names().size(), 17U);
  EXPECT_EQ(door->drain(1s), 0);
  EventHub hub;
  EXPECT_EQ(refusal([&] { door->submit(hub, R"({"prompt": "a"})"); }).first, "shutting_down");
}

TEST(ServerDoor, OutlivesItsDoorAndStopsOnce) {
  auto door = EngineDoor::open("{}");
  const auto server = ServerDoor::start(*door, R"({"max_connections": 5})");
  EXPECT_TRUE(server->url().starts_with("http://127.0.0.1:"));
  door.reset();
  TestClient client(server->port());
  client.send(request_text("GET", "/health"));
  EXPECT_EQ(client.receive("GET").value_or(TestResponse{}).status, 200);
  server->stop();
  server->stop();
  const auto other = EngineDoor::open("{}");
  EXPECT_EQ(
      refusal([&] { static_cast<void>(ServerDoor::start(*other, R"({"model": "x"})")); }).first,
      "invalid_config"
  );
}

}  // namespace
}  // namespace mlxs
