// The WebSocket door: the same requests as over HTTP, their answers, cancellation and limits.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/testing/test_server.h"
#include "server/testing/web_socket_client.h"
#include "server/websocket/message.h"

namespace mlxs {
namespace {

constexpr const char* kBody = R"("model":"fake","prompt":"hello","temperature":0)";

std::string request(const std::string& id, const std::string& path, const std::string& body) {
  return fmt::format(R"({{"id":"{}","path":"{}","body":{{{}}}}})", id, path, body);
}

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

FakeEngineOptions slow_engine() {
  FakeEngineOptions engine;
  engine.context_length = 4096;
  engine.runner.step_time = std::chrono::milliseconds(5);
  engine.runner.num_pages = 8192;
  return engine;
}

TEST(WebSocket, AnswersAsHttpDoes) {
  TestServer server;
  WebSocketClient client(server.port());
  ASSERT_EQ(client.handshake().status, 101);
  EXPECT_EQ(client.handshake().header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(client.handshake().header("sec-websocket-extensions"), "");
  client.send(request("a", "/v1/completions", std::string(kBody) + R"(,"max_tokens":4)"));
  const json::value reply = client.receive();
  EXPECT_EQ(at(reply, "/id"), "a");
  EXPECT_EQ(at(reply, "/status"), 200);
  EXPECT_EQ(
      at(reply, "/body/choices/0/text").as_string(), fake_greedy_text({'h', 'e', 'l', 'l', 'o'}, 4)
  );
  client.send(R"({"id":"b","method":"GET","path":"/v1/models?x=1"})");
  EXPECT_EQ(at(client.receive(), "/body/data/0/id"), "fake");
}

TEST(WebSocket, StreamsPartsAndAnEnd) {
  TestServer server;
  WebSocketClient client(server.port());
  client.send(
      request("a", "/v1/completions", std::string(kBody) + R"(,"max_tokens":5,"stream":true)")
  );
  std::string text;
  json::value message = client.receive();
  for (; message.is_object() && !message.as_object().contains("done"); message = client.receive())
    text += at(message, "/data/choices/0/text").as_string();
  EXPECT_EQ(message, parse_json(R"({"id":"a","done":true})"));
  EXPECT_EQ(text, fake_greedy_text({'h', 'e', 'l', 'l', 'o'}, 5));
  const std::string chat =
      R"("model":"fake","max_tokens":2,"stream":true,"messages":[{"role":"user","content":"x"}])";
  client.send(request("b", "/v1/messages", chat));
  EXPECT_EQ(at(client.receive(), "/event"), "message_start");
}

TEST(WebSocket, RequestsRunNextToEachOther) {
  TestServer server(TestServer::quick_options(), slow_engine());
  WebSocketClient client(server.port());
  constexpr int kNumRequests = 8;
  for (int i = 0; i < kNumRequests; ++i) {
    client.send(request(
        std::to_string(i),
        "/v1/completions",
        fmt::format(R"({},"max_tokens":{},"stream":true)", kBody, 4 + i)
    ));
  }
  std::map<std::string, std::string> texts;
  for (int num_done = 0; num_done < kNumRequests;) {
    const json::value message = client.receive();
    ASSERT_TRUE(message.is_object());
    const std::string id(at(message, "/id").as_string());
    if (message.as_object().contains("done")) {
      ++num_done;
    } else {
      texts[id] += at(message, "/data/choices/0/text").as_string();
    }
  }
  for (int i = 0; i < kNumRequests; ++i)
    EXPECT_EQ(texts[std::to_string(i)], fake_greedy_text({'h', 'e', 'l', 'l', 'o'}, 4 + i));
}

TEST(WebSocket, CancellingEndsOneRequestOnly) {
  TestServer server(TestServer::quick_options(), slow_engine());
  WebSocketClient client(server.port());
  client.send(
      request("a", "/v1/completions", std::string(kBody) + R"(,"max_tokens":3000,"stream":true)")
  );
  EXPECT_EQ(at(client.receive(), "/id"), "a");
  client.send(R"({"id":"a","cancel":true})");
  json::value message = client.receive();
  while (message.is_object() && !message.as_object().contains("done")) message = client.receive();
  EXPECT_EQ(message, parse_json(R"({"id":"a","done":false})"));
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
  client.send(R"({"id":"a","cancel":true})");
  client.send(request("a", "/v1/completions", std::string(kBody) + R"(,"max_tokens":2)"));
  EXPECT_EQ(at(client.receive(), "/status"), 200);
}

TEST(WebSocket, LeavingCancelsEverything) {
  TestServer server(TestServer::quick_options(), slow_engine());
  for (const bool is_hard : {false, true}) {
    WebSocketClient client(server.port());
    for (const char* id : {"a", "b"})
      client.send(
          request(id, "/v1/completions", std::string(kBody) + R"(,"max_tokens":3000,"stream":true)")
      );
    EXPECT_TRUE(client.receive().is_object());
    if (is_hard) {
      client.socket().reset();
    } else {
      client.socket().close();
    }
    EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
  }
}

TEST(WebSocket, FaultsHaveTheFormOfTheirApi) {
  TestServer server;
  WebSocketClient client(server.port());
  const auto fault = [&](const std::string& text) {
    client.send(text);
    return client.receive();
  };
  json::value reply =
      fault(request("a", "/v1/completions", R"("model":"fake","prompt":"x","temperature":9)"));
  EXPECT_EQ(at(reply, "/id"), "a");
  EXPECT_EQ(at(reply, "/status"), 400);
  EXPECT_EQ(at(reply, "/body/error/param"), "temperature");
  reply = fault(request("b", "/v1/messages", R"("model":"fake")"));
  EXPECT_EQ(at(reply, "/body/type"), "error");
  for (const char* text :
       {"{",
        "[]",
        "{}",
        R"({"id":""})",
        R"({"id":"a"})",
        R"({"id":1,"path":"/"})",
        R"({"id":"a","path":"x"})",
        R"({"id":"a","path":"/","nonsense":1})",
        R"({"id":"a","path":"/","method":"PUT"})"}) {
    reply = fault(text);
    EXPECT_EQ(at(reply, "/status"), 400) << text;
    EXPECT_TRUE(at(reply, "/id").is_null());
    EXPECT_EQ(at(reply, "/body/error/type"), "invalid_request_error");
  }
  EXPECT_EQ(at(fault(R"({"id":"c","path":"/none"})"), "/status"), 404);
  EXPECT_EQ(at(fault(R"({"id":"c","path":"/v1/models"})"), "/status"), 405);
  EXPECT_EQ(at(fault(R"({"id":"c","method":"GET","path":"/v1/ws"})"), "/status"), 405);
  client.send_frame(2, "{}");
  EXPECT_EQ(at(client.receive(), "/status"), 400);
}

TEST(WebSocket, LimitsHold) {
  ServerOptions options = TestServer::quick_options();
  options.max_socket_requests = 2;
  options.max_body_bytes = 4096;
  TestServer server(options, slow_engine());
  WebSocketClient client(server.port());
  const std::string body = std::string(kBody) + R"(,"max_tokens":3000,"stream":true)";
  client.send(request("a", "/v1/completions", body));
  client.send(request("b", "/v1/completions", body));
  client.send(request("b", "/v1/completions", body));
  client.send(request("c", "/v1/completions", body));
  std::optional<json::value> duplicate;
  std::optional<json::value> excess;
  while (!duplicate || !excess) {
    const json::value message = client.receive();
    ASSERT_TRUE(message.is_object());
    if (!message.as_object().contains("status")) continue;
    (at(message, "/id") == "b" ? duplicate : excess) = message;
  }
  EXPECT_EQ(at(*duplicate, "/body/error/code"), "duplicate_id");
  EXPECT_EQ(at(*excess, "/status"), 429);
  EXPECT_EQ(at(*excess, "/id"), "c");
  client.send(std::string(5000, ' '));
  EXPECT_TRUE(client.socket().is_closed_within(std::chrono::seconds(10)));
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
}

TEST(WebSocket, PingsAreAnsweredAndACloseIsToo) {
  TestServer server;
  WebSocketClient client(server.port());
  client.send_frame(9, "are you there");
  auto frame = client.receive_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 10);
  EXPECT_EQ(frame->payload, "are you there");
  client.send_frame(8, std::string("\x03\xe8", 2));
  frame = client.receive_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->opcode, 8);
  EXPECT_TRUE(client.socket().is_closed_within(std::chrono::seconds(10)));
}

TEST(WebSocket, TheHandshakeIsGuarded) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  TestServer server(options);
  EXPECT_EQ(WebSocketClient(server.port()).handshake().status, 401);
  EXPECT_EQ(
      WebSocketClient(server.port(), "Authorization: Bearer secret\r\n").handshake().status, 101
  );
  TestServer open;
  EXPECT_EQ(
      WebSocketClient(open.port(), "Origin: http://evil.example\r\n").handshake().status, 403
  );
  EXPECT_EQ(WebSocketClient(open.port(), "Origin: null\r\n").handshake().status, 403);
  EXPECT_EQ(WebSocketClient(open.port(), "Origin: http://localhost:1\r\n").handshake().status, 101);
  const TestResponse plain = open.ask("GET", "/v1/ws");
  EXPECT_EQ(plain.status, 426);
  EXPECT_EQ(plain.header("upgrade"), "websocket");
}

TEST(WebSocket, StoppingTheServerClosesTheSocket) {
  TestServer server(TestServer::quick_options(), slow_engine());
  WebSocketClient client(server.port());
  client.send(
      request("a", "/v1/completions", std::string(kBody) + R"(,"max_tokens":3000,"stream":true)")
  );
  EXPECT_TRUE(client.receive().is_object());
  server.server().stop();
  EXPECT_TRUE(client.socket().is_closed_within(std::chrono::seconds(10)));
  EXPECT_TRUE(server.becomes_idle(std::chrono::seconds(10)));
}

TEST(SocketMessage, PiecesBecomeMessages) {
  using Messages = std::vector<std::string>;
  EXPECT_EQ(
      messages_of_piece(
          "a", "text/event-stream", "data: {\"x\":1}\n\nevent: e\ndata: 2\n\ndata: [DONE]\n\n"
      ),
      (Messages{R"({"id":"a","data":{"x":1}})", R"({"id":"a","event":"e","data":2})"})
  );
  EXPECT_EQ(
      messages_of_piece("a\"", "application/x-ndjson", "1\n{}\n"),
      (Messages{R"({"id":"a\"","data":1})", R"({"id":"a\"","data":{}})"})
  );
}

}  // namespace
}  // namespace mlxs
