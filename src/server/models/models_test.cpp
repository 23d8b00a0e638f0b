// Several models on one server: requests reach the one that they name, it is loaded when it is
// needed, and leaves when another needs its room.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/json.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/error.h"
#include "server/models/model_source.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/v1/chat/completions";

std::string chat(const std::string& model, const std::string& more = "") {
  return fmt::format(
      R"({{"model":"{}","messages":[{{"role":"user","content":"hi"}}],"max_tokens":3{}}})",
      model,
      more
  );
}

struct Loads {
  std::atomic<int> small{0};
  std::atomic<int> large{0};
};

ModelSource source(const std::string& name, std::atomic<int>& num_loads, std::int64_t bytes = 1) {
  return {.name = name, .aliases = {name + "-alias"}, .memory_bytes = bytes, .open = [&num_loads] {
            ++num_loads;
            return make_fake_engine(
                {.name = "file", .context_length = 4096, .runner = {.num_pages = 4096}}
            );
          }};
}

ServerOptions two_models(Loads& loads) {
  ServerOptions options = TestServer::quick_options();
  options.models = {source("small", loads.small), source("large", loads.large, 10)};
  return options;
}

std::string loaded_models(const TestServer& server) {
  std::string names;
  const json::value listing = server.ask("GET", "/v1/models").json_body();
  for (const json::value& entry : listing.at("data").as_array()) {
    const json::value* is_loaded = entry.as_object().if_contains("is_loaded");
    if (is_loaded == nullptr || is_loaded->as_bool())
      names += std::string(entry.at("id").as_string()) + " ";
  }
  return names;
}

TEST(Models, RequestsReachTheModelThatTheyName) {
  Loads loads;
  const TestServer server(two_models(loads));
  EXPECT_EQ(loaded_models(server), "fake ");
  for (const char* name : {"small", "small-alias", "fake"}) {
    const TestResponse answer = server.post(kChat, chat(name));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.json_body().at("model"), name);
  }
  EXPECT_EQ(loads.small, 1);
  EXPECT_EQ(loaded_models(server), "fake small small-alias ");

  const std::string ollama = R"({"model":"small","prompt":"a","stream":false})";
  EXPECT_EQ(server.post("/api/generate", ollama).json_body().at("model"), "small");
  const TestResponse unknown = server.post(kChat, chat("other"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.json_body().at_pointer("/error/code"), "model_not_found");
}

TEST(Models, TheOneUsedLongestAgoLeaves) {
  Loads loads;
  const TestServer server(two_models(loads));
  EXPECT_EQ(server.post(kChat, chat("small")).status, 200);
  EXPECT_EQ(server.post(kChat, chat("large")).status, 200);
  EXPECT_EQ(loaded_models(server), "fake large large-alias ");
  EXPECT_EQ(server.post(kChat, chat("small")).status, 200);
  EXPECT_EQ(loads.small, 2);
}

TEST(Models, MemoryIsABudget) {
  Loads loads;
  ServerOptions options = two_models(loads);
  options.max_loaded_models = 5;
  options.models_memory_bytes = 10;
  const TestServer server(options);
  EXPECT_EQ(server.post(kChat, chat("small")).status, 200);
  EXPECT_EQ(server.post(kChat, chat("large")).status, 200);
  EXPECT_EQ(loaded_models(server), "fake large large-alias ");
}

TEST(Models, WhatIsInUseStays) {
  Loads loads;
  const TestServer server(two_models(loads));
  TestClient reader(server.port());
  const std::string endless =
      R"({"model":"small","messages":[{"role":"user","content":"hi"}],"max_tokens":4000,"stream":true,"n":8})";
  reader.set_receive_buffer(2048);
  reader.send(request_text("POST", kChat, endless));
  ASSERT_TRUE(reader.receive_until("data: "));
  EXPECT_EQ(server.post(kChat, chat("large")).status, 503);
  EXPECT_EQ(server.post("/models/unload", R"({"model":"small"})").status, 503);
  reader.reset();
  int status = 503;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (status == 503 && std::chrono::steady_clock::now() < deadline)
    status = server.post(kChat, chat("large")).status;
  EXPECT_EQ(status, 200);
}

TEST(Models, AreLoadedAndUnloadedOnDemand) {
  Loads loads;
  const TestServer server(two_models(loads));
  EXPECT_EQ(server.post("/models/load", R"({"model":"small"})").body, R"({"success":true})");
  EXPECT_EQ(loads.small, 1);
  EXPECT_EQ(server.post("/models/load", R"({"model":"small"})").status, 200);
  EXPECT_EQ(loads.small, 1);
  EXPECT_EQ(server.post("/models/unload", R"({"model":"small"})").status, 200);
  EXPECT_EQ(loaded_models(server), "fake ");
  EXPECT_EQ(server.post("/models/unload", R"({"model":"fake"})").status, 400);
  EXPECT_EQ(server.post("/models/load", R"({"model":"other"})").status, 404);
  EXPECT_EQ(server.post("/models/load", R"({})").status, 400);
}

TEST(Models, OneThatCannotBeLoadedSaysWhy) {
  ServerOptions options = TestServer::quick_options();
  options.models = {{.name = "broken", .open = []() -> std::unique_ptr<Engine> {
                       throw Error(ErrorCode::invalid_model, "the file is truncated");
                     }}};
  const TestServer server(options);
  const TestResponse answer = server.post(kChat, chat("broken"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_NE(answer.body.find("truncated"), std::string::npos);
  EXPECT_EQ(server.post(kChat, chat("fake")).status, 200);
}

TEST(Models, AJobInTheBackgroundKeepsItsModel) {
  Loads loads;
  const TestServer server(two_models(loads));
  const json::value job =
      server.post("/v1/responses", R"({"model":"small","input":"hi","background":true})")
          .json_body();
  const std::string path = "/v1/responses/" + std::string(job.at("id").as_string());
  std::string status = "queued";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (status != "completed" && status != "incomplete" &&
         std::chrono::steady_clock::now() < deadline)
    status = std::string(server.ask("GET", path).json_body().at("status").as_string());
  EXPECT_TRUE(status == "completed" || status == "incomplete") << status;
}

}  // namespace
}  // namespace mlxs
