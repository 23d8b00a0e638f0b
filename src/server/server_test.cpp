// The server as clients see it: replies, streams, errors of the engine, disconnects, probes and the
// end.
#include "server/server.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <atomic>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletion = "/v1/completions";
constexpr const char* kHello = R"("model":"fake","messages":[{"role":"user","content":"hello"}])";

std::string chat_body(const std::string& more) { return fmt::format("{{{}{}}}", kHello, more); }
std::string text_body(const std::string& more) {
  return fmt::format(R"({{"model":"fake","prompt":"hello"{}}})", more);
}

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

FakeEngineOptions slow_engine(milliseconds step_time = milliseconds(5)) {
  FakeEngineOptions options;
  options.context_length = 4096;
  options.runner.step_time = step_time;
  options.runner.num_pages = 8192;
  return options;
}

// What the fake model says after `prompt`, greedily.
std::string greedy_text(const std::string& prompt, int num_tokens) {
  std::vector<std::int32_t> ids(prompt.begin(), prompt.end());
  std::string text;
  for (int i = 0; i < num_tokens; ++i) {
    ids.push_back(FakeRunner::next_token(ids, 0));
    text.push_back(static_cast<char>(ids.back()));
  }
  return text;
}

TEST(Server, ChatReplies) {
  TestServer server;
  const TestResponse response = server.post(kChat, chat_body(R"(,"max_tokens":4,"temperature":0)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.header("content-type"), "application/json");
  EXPECT_FALSE(response.header("x-request-id").empty());
  const json::value body = response.json_body();
  EXPECT_TRUE(at(body, "/id").as_string().starts_with("chatcmpl-"));
  EXPECT_EQ(at(body, "/object"), "chat.completion");
  EXPECT_EQ(at(body, "/model"), "fake");
  EXPECT_TRUE(at(body, "/system_fingerprint").as_string().starts_with("fp_"));
  EXPECT_GT(at(body, "/created").as_int64(), 1'600'000'000);
  EXPECT_EQ(at(body, "/choices/0/index"), 0);
  EXPECT_EQ(at(body, "/choices/0/message/role"), "assistant");
  EXPECT_EQ(at(body, "/choices/0/message/content").as_string().size(), 4U);
  EXPECT_EQ(at(body, "/choices/0/finish_reason"), "length");
  EXPECT_EQ(at(body, "/usage/completion_tokens"), 4);
  EXPECT_EQ(at(body, "/usage/prompt_tokens_details/cached_tokens"), 0);
  EXPECT_EQ(
      at(body, "/usage/total_tokens").as_int64(), at(body, "/usage/prompt_tokens").as_int64() + 4
  );
}

TEST(Server, CompletionReplies) {
  TestServer server;
  const TestResponse response = server.post(kCompletion, text_body(R"(,"temperature":0)"));
  ASSERT_EQ(response.status, 200) << response.body;
  const json::value body = response.json_body();
  EXPECT_TRUE(at(body, "/id").as_string().starts_with("cmpl-"));
  EXPECT_EQ(at(body, "/object"), "text_completion");
  EXPECT_EQ(
      at(body, "/choices/0/text").as_string(), greedy_text("hello", 16)
  );  // OpenAI's default of max_tokens
  EXPECT_EQ(at(body, "/usage/prompt_tokens"), 5);
}

TEST(Server, FinishReasonStop) {
  FakeEngineOptions engine;
  engine.runner.num_output_tokens = 3;
  TestServer server(TestServer::quick_options(), engine);
  const json::value body = server.post(kChat, chat_body("")).json_body();
  EXPECT_EQ(at(body, "/choices/0/finish_reason"), "stop");
  EXPECT_EQ(at(body, "/choices/0/message/content").as_string().size(), 2U);
}

TEST(Server, StopStringsEndTheText) {
  TestServer server;
  const std::string whole = greedy_text("hello", 8);
  const TestResponse response = server.post(
      kCompletion, text_body(fmt::format(R"(,"temperature":0,"stop":["{}"])", whole.substr(3, 2)))
  );
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(
      at(response.json_body(), "/choices/0/text").as_string(),
      whole.substr(0, whole.find(whole.substr(3, 2)))
  );
  EXPECT_EQ(at(response.json_body(), "/choices/0/finish_reason"), "stop");
}

TEST(Server, PromptFormsAreEqual) {
  TestServer server;
  const auto text_of = [&](const std::string& prompt, const char* pointer) {
    const TestResponse response = server.post(
        kCompletion,
        fmt::format(R"({{"model":"fake","prompt":{},"temperature":0,"max_tokens":5}})", prompt)
    );
    EXPECT_EQ(response.status, 200) << response.body;
    return std::string(at(response.json_body(), pointer).as_string());
  };
  const std::string expected = greedy_text("hi", 5);
  EXPECT_EQ(text_of(R"("hi")", "/choices/0/text"), expected);
  EXPECT_EQ(text_of("[104,105]", "/choices/0/text"), expected);
  EXPECT_EQ(text_of(R"(["x","hi"])", "/choices/1/text"), expected);
  EXPECT_EQ(text_of("[[1],[104,105]]", "/choices/1/text"), expected);
}

TEST(Server, SeveralChoicesCountThePromptOnce) {
  TestServer server;
  const json::value body =
      server
          .post(
              kCompletion, R"({"model":"fake","prompt":["ab","cde"],"n":2,"max_tokens":3,"seed":7})"
          )
          .json_body();
  ASSERT_EQ(at(body, "/choices").as_array().size(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(at(body, fmt::format("/choices/{}/index", i).c_str()), i);
  EXPECT_EQ(at(body, "/usage/prompt_tokens"), 5);
  EXPECT_EQ(at(body, "/usage/completion_tokens"), 12);
  EXPECT_NE(at(body, "/choices/0/text"), at(body, "/choices/1/text"));
  const json::value again =
      server
          .post(
              kCompletion, R"({"model":"fake","prompt":["ab","cde"],"n":2,"max_tokens":3,"seed":7})"
          )
          .json_body();
  EXPECT_EQ(at(body, "/choices"), at(again, "/choices"));
}

TEST(Server, ChatStreams) {
  TestServer server;
  const TestResponse whole = server.post(kChat, chat_body(R"(,"max_tokens":6,"temperature":0)"));
  const TestResponse response = server.post(
      kChat,
      chat_body(
          R"(,"max_tokens":6,"temperature":0,"stream":true,"stream_options":{"include_usage":true})"
      )
  );
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(response.is_complete);
  EXPECT_EQ(response.header("content-type"), "text/event-stream; charset=utf-8");
  const std::vector<std::string> data = sse_data(response.body);
  ASSERT_GE(data.size(), 4U);
  EXPECT_EQ(data.back(), "[DONE]");
  const json::value first = parse_json(data.front());
  EXPECT_EQ(at(first, "/object"), "chat.completion.chunk");
  EXPECT_EQ(at(first, "/choices/0/delta/role"), "assistant");
  EXPECT_TRUE(at(first, "/usage").is_null());
  std::string text;
  std::string finish_reason;
  for (std::size_t i = 1; i + 2 < data.size(); ++i) {
    const json::value chunk = parse_json(data[i]);
    EXPECT_EQ(at(chunk, "/id"), at(first, "/id"));
    const json::object& delta = chunk.at_pointer("/choices/0/delta").as_object();
    if (const auto* content = delta.if_contains("content")) text += content->as_string();
    if (at(chunk, "/choices/0/finish_reason").is_string())
      finish_reason = at(chunk, "/choices/0/finish_reason").as_string();
  }
  EXPECT_EQ(text, at(whole.json_body(), "/choices/0/message/content").as_string());
  EXPECT_EQ(finish_reason, "length");
  const json::value last = parse_json(data[data.size() - 2]);
  EXPECT_TRUE(at(last, "/choices").as_array().empty());
  for (const char* field :
       {"/usage/prompt_tokens", "/usage/completion_tokens", "/usage/total_tokens"})
    EXPECT_EQ(at(last, field), at(whole.json_body(), field));
  // The prompt was computed for the whole reply; one row of it runs again for its logits.
  EXPECT_EQ(at(whole.json_body(), "/usage/prompt_tokens_details/cached_tokens"), 0);
  EXPECT_EQ(
      at(last, "/usage/prompt_tokens_details/cached_tokens").as_int64() + 1,
      at(last, "/usage/prompt_tokens").as_int64()
  );
}

TEST(Server, CompletionStreamsAllChoices) {
  TestServer server;
  const TestResponse response = server.post(
      kCompletion,
      R"({"model":"fake","prompt":["ab","cd"],"max_tokens":5,"temperature":0,"stream":true})"
  );
  ASSERT_EQ(response.status, 200);
  std::vector<std::string> texts(2);
  const std::vector<std::string> data = sse_data(response.body);
  for (std::size_t i = 0; i + 1 < data.size(); ++i) {
    const json::value chunk = parse_json(data[i]);
    EXPECT_FALSE(chunk.as_object().contains("usage"));
    texts.at(static_cast<std::size_t>(at(chunk, "/choices/0/index").as_int64())) +=
        at(chunk, "/choices/0/text").as_string();
  }
  EXPECT_EQ(texts[0], greedy_text("ab", 5));
  EXPECT_EQ(texts[1], greedy_text("cd", 5));
  EXPECT_EQ(data.back(), "[DONE]");
}

TEST(Server, StreamsToHttp10WithoutChunks) {
  TestServer server;
  TestClient client(server.port());
  const std::string body = text_body(R"(,"stream":true,"max_tokens":2)");
  client.send(fmt::format(
      "POST {} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", kCompletion, body.size(), body
  ));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->header("transfer-encoding"), "");
  EXPECT_EQ(sse_data(response->body).back(), "[DONE]");
}

TEST(Server, KeepsConnectionsAlive) {
  TestServer server;
  TestClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":2)"))));
    const auto response = client.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->header("connection"), "keep-alive");
  }
  ASSERT_TRUE(client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":2,"stream":true)"))
  ));
  EXPECT_EQ(client.receive()->status, 200);
  ASSERT_TRUE(client.send(request_text("GET", "/v1/models", "", "Connection: close\r\n")));
  EXPECT_EQ(client.receive()->header("connection"), "close");
  EXPECT_TRUE(client.is_closed_within(seconds(3)));
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  TestClient client(server.port());
  client.send(
      request_text("POST", kChat, chat_body(R"(,"max_tokens":3)")) +
      request_text("GET", "/v1/models") + request_text("GET", "/health")
  );
  EXPECT_EQ(at(client.receive()->json_body(), "/object"), "chat.completion");
  EXPECT_EQ(at(client.receive()->json_body(), "/object"), "list");
  EXPECT_EQ(at(client.receive()->json_body(), "/status"), "ok");
}

TEST(Server, ListsModels) {
  ServerOptions options = TestServer::quick_options();
  options.model_aliases = {"default", "org/fake"};
  TestServer server(options);
  const json::value list = server.ask("GET", "/v1/models").json_body();
  ASSERT_EQ(at(list, "/data").as_array().size(), 3U);
  EXPECT_EQ(at(list, "/data/0/id"), "fake");
  EXPECT_EQ(at(server.ask("GET", "/v1/models/fake").json_body(), "/object"), "model");
  EXPECT_EQ(at(server.ask("GET", "/v1/models/org/fake").json_body(), "/id"), "org/fake");
  EXPECT_EQ(at(server.ask("GET", "/v1/models/org%2Ffake").json_body(), "/id"), "org/fake");
  EXPECT_EQ(server.ask("GET", "/v1/models/other").status, 404);
  EXPECT_EQ(server.ask("GET", "/v1/models/%zz").status, 400);
  const TestResponse binary = server.ask("GET", "/v1/models/a%ff%ed%a0%80%c3");
  EXPECT_EQ(binary.status, 404);
  EXPECT_NE(
      binary.json_body().at_pointer("/error/message").as_string().find("a\xEF\xBF\xBD"),
      std::string::npos
  );
  const TestResponse response =
      server.post(kCompletion, R"({"model":"default","prompt":"x","max_tokens":1})");
  EXPECT_EQ(at(response.json_body(), "/model"), "default");
}

TEST(Server, TakesOverSoundRequestIds) {
  TestServer server;
  const auto id_for = [&](const std::string& id) {
    TestClient client(server.port());
    client.send(request_text("GET", "/v1/models", "", "X-Request-Id: " + id + "\r\n"));
    return client.receive("GET")->header("x-request-id");
  };
  EXPECT_EQ(id_for("abc.DEF-1_2"), "abc.DEF-1_2");
  EXPECT_EQ(id_for(std::string(128, 'a')), std::string(128, 'a'));
  for (const std::string& bad :
       {std::string(129, 'a'), std::string("a b"), std::string("a/b"), std::string("\x80")}) {
    EXPECT_TRUE(id_for(bad).starts_with("req_")) << bad;
  }
}

TEST(Server, EngineErrorsBeforeTheStreamHaveAStatus) {
  TestServer server;
  for (const char* stream : {"false", "true"}) {
    const TestResponse response =
        server.post(kChat, chat_body(fmt::format(R"(,"max_tokens":100000,"stream":{})", stream)));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(at(response.json_body(), "/error/code"), "context_length_exceeded");
    EXPECT_EQ(at(response.json_body(), "/error/param"), "messages");
  }
}

TEST(Server, FaultAfterTheStartIsAnEvent) {
  FakeEngineOptions engine;
  engine.runner.before_step = [](std::uint64_t step) {
    if (step == 5) throw std::runtime_error("the device is gone");
  };
  TestServer server(TestServer::quick_options(), engine);
  TestClient client(server.port());
  client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":50,"stream":true)")));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  const std::vector<std::string> data = sse_data(response->body);
  EXPECT_EQ(at(parse_json(data.back()), "/error/type"), "server_error");
  EXPECT_EQ(at(parse_json(data.back()), "/error/code"), "engine_error");
  EXPECT_EQ(response->body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(client.is_closed_within(seconds(3)));
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"max_tokens":2)")).status, 200);
}

TEST(Server, FullQueueIs429) {
  FakeEngineOptions engine = slow_engine();
  engine.max_queue = 2;
  engine.max_sequences = 1;
  TestServer server(TestServer::quick_options(), engine);
  const TestResponse response = server.post(kCompletion, text_body(R"(,"n":8,"max_tokens":200)"));
  EXPECT_EQ(response.status, 429) << response.body;
  EXPECT_EQ(at(response.json_body(), "/error/type"), "rate_limit_error");
  EXPECT_FALSE(response.header("retry-after").empty());
  EXPECT_TRUE(server.becomes_idle(seconds(5)));
}

TEST(Server, DisconnectsLeaveNoSequence) {
  TestServer server(TestServer::quick_options(), slow_engine(milliseconds(1)));
  std::mt19937 random(20261);
  for (int i = 0; i < 100; ++i) {
    TestClient client(server.port());
    const bool is_stream = random() % 2 == 0;
    const std::string body =
        chat_body(fmt::format(R"(,"max_tokens":3000,"stream":{})", is_stream ? "true" : "false"));
    const std::string request = request_text("POST", kChat, body);
    const bool is_partial = random() % 8 == 0;
    client.send(
        is_partial ? std::string_view(request).substr(0, random() % request.size())
                   : std::string_view(request)
    );
    if (is_stream && !is_partial && random() % 2 == 0) {
      EXPECT_TRUE(client.receive_until("data: "));
    }
    std::this_thread::sleep_for(milliseconds(random() % 12));
    if (random() % 2 == 0) client.reset();
  }
  EXPECT_TRUE(server.becomes_idle(seconds(5)));
  EXPECT_EQ(server.post(kChat, chat_body(R"(,"max_tokens":2)")).status, 200);
}

TEST(Server, DisconnectInTheQueueCancels) {
  FakeEngineOptions engine = slow_engine();
  engine.max_sequences = 1;
  TestServer server(TestServer::quick_options(), engine);
  TestClient running(server.port());
  running.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":2000,"stream":true)")));
  ASSERT_TRUE(running.receive_until("data: "));
  {
    TestClient queued(server.port());
    queued.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":2000)")));
    while (server.engine().stats().num_waiting == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  const auto deadline = std::chrono::steady_clock::now() + seconds(5);
  while (server.engine().stats().num_waiting > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(server.engine().stats().num_waiting, 0);
  EXPECT_EQ(server.engine().stats().num_running, 1);
}

TEST(Server, ClosesClientsThatDoNotRead) {
  ServerOptions options = TestServer::quick_options();
  options.write_timeout = milliseconds(300);
  FakeEngineOptions engine;
  engine.context_length = 1 << 20;
  engine.max_sequences = 64;
  engine.runner.num_pages = 1 << 17;
  TestServer server(options, engine);
  TestClient client(server.port());
  client.set_receive_buffer(2048);
  client.send(
      request_text("POST", kCompletion, text_body(R"(,"n":8,"stream":true,"max_tokens":30000)"))
  );
  ASSERT_TRUE(client.receive_until("data: "));
  EXPECT_TRUE(server.becomes_idle(seconds(60)));  // cancelled long before 240,000 tokens
  EXPECT_LT(server.engine().stats().num_step_tokens, 200'000U);
}

TEST(Server, ProbesTellTheEnginesState) {
  std::atomic<bool> is_stuck{false};
  FakeEngineOptions engine = slow_engine(milliseconds(1));
  engine.runner.before_step = [&](std::uint64_t) {
    while (is_stuck) std::this_thread::sleep_for(milliseconds(5));
  };
  ServerOptions options = TestServer::quick_options();
  options.health_timeout = milliseconds(200);
  TestServer server(options, engine);
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.ask("GET", "/ready").status, 200);
  is_stuck = true;
  TestClient client(server.port());
  client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":50)")));
  std::this_thread::sleep_for(milliseconds(500));
  const TestResponse stalled = server.ask("GET", "/health");
  EXPECT_EQ(stalled.status, 503);
  EXPECT_EQ(at(stalled.json_body(), "/status"), "stalled");
  is_stuck = false;
  EXPECT_EQ(client.receive()->status, 200);
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  const std::uint64_t num_steps = server.engine().stats().num_steps;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.engine().stats().num_steps, num_steps);
}

TEST(Server, DrainLetsRequestsFinish) {
  TestServer server(TestServer::quick_options(), slow_engine());
  TestClient client(server.port());
  client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":60,"stream":true)")));
  ASSERT_TRUE(client.receive_until("data: "));
  int num_cut = -1;
  std::thread drain([&] { num_cut = server.server().drain(seconds(20)); });
  while (server.ask("GET", "/ready").status != 503) std::this_thread::sleep_for(milliseconds(1));
  const TestResponse refused = server.post(kChat, chat_body(""));
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(at(refused.json_body(), "/error/code"), "shutting_down");
  EXPECT_FALSE(refused.header("retry-after").empty());
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(sse_data(response->body).back(), "[DONE]");
  drain.join();
  EXPECT_EQ(num_cut, 0);
}

TEST(Server, DrainEndsTheRestWithAnError) {
  TestServer server(TestServer::quick_options(), slow_engine());
  TestClient stream(server.port());
  stream.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":3000,"stream":true)")));
  ASSERT_TRUE(stream.receive_until("data: "));
  TestClient whole(server.port());
  whole.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":3000)")));
  while (server.engine().stats().num_running < 2) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(server.server().drain(milliseconds(50)), 2);
  const auto response = stream.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(at(parse_json(sse_data(response->body).back()), "/error/code"), "shutting_down");
  EXPECT_EQ(whole.receive()->status, 503);
}

TEST(Server, StopCancelsWhatRuns) {
  TestServer server(TestServer::quick_options(), slow_engine());
  TestClient client(server.port());
  client.send(request_text("POST", kChat, chat_body(R"(,"max_tokens":3000,"stream":true)")));
  ASSERT_TRUE(client.receive_until("data: "));
  std::thread waiter([&] { server.server().run(); });
  server.server().stop();
  server.server().stop();
  waiter.join();
  EXPECT_TRUE(client.is_closed_within(seconds(2)));
  EXPECT_TRUE(server.becomes_idle(seconds(5)));
}

TEST(Server, StopsBeforeItStarted) {
  const auto engine = make_fake_engine();
  Server server(*engine, TestServer::quick_options());
  server.stop();
}

TEST(Server, ManyClientsOnSeveralThreads) {
  ServerOptions options = TestServer::quick_options();
  options.num_threads = 4;
  TestServer server(options);
  const std::string expected = greedy_text("hello", 20);
  std::atomic<int> num_right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      TestClient client(server.port());
      for (int i = 0; i < 10; ++i) {
        const bool is_stream = (t + i) % 2 == 0;
        client.send(request_text(
            "POST",
            kCompletion,
            text_body(fmt::format(
                R"(,"temperature":0,"max_tokens":20,"stream":{})", is_stream ? "true" : "false"
            ))
        ));
        const auto response = client.receive();
        if (!response || response->status != 200) continue;
        std::string text;
        if (is_stream) {
          for (const std::string& data : sse_data(response->body)) {
            if (data != "[DONE]") text += at(parse_json(data), "/choices/0/text").as_string();
          }
        } else {
          text = at(response->json_body(), "/choices/0/text").as_string();
        }
        if (text == expected) ++num_right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_right, 80);
  EXPECT_TRUE(server.becomes_idle(seconds(5)));
}

}  // namespace
}  // namespace mlxs
