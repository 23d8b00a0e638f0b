// The one table of errors, row by row: what a client is told over HTTP, as the refusal of a stream
// and over a WebSocket. Messages are free to change; status, type, param and code are not.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"
#include "engine/batch.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/error.h"
#include "server/http/message.h"
#include "server/openai/error_body.h"
#include "server/testing/test_server.h"
#include "server/testing/web_socket_client.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kHello = R"("model":"fake","messages":[{"role":"user","content":"hello"}])";
constexpr const char* kMasked = "*";

// RETURNS: the body that the table has, its message masked.
std::string golden(const char* type, const char* param, const char* code) {
  const auto text = [](const char* word) -> json::value {
    return word == nullptr ? json::value(nullptr) : json::value(word);
  };
  return json::serialize(json::value{
      {"error", {{"message", kMasked}, {"type", type}, {"param", text(param)}, {"code", text(code)}}
      }
  });
}

std::string masked(json::value body) {
  json::object* error = body.is_object() ? body.as_object()["error"].if_object() : nullptr;
  if (error == nullptr || !error->contains("message")) return json::serialize(body);
  EXPECT_FALSE(error->at("message").as_string().empty());
  error->at("message") = kMasked;
  return json::serialize(body);
}

struct Row {
  const char* name;
  const char* fields;  // of the body, beside `stream`
  int status;
  const char* param;  // null: none
  const char* code;
  const char* type = "invalid_request_error";
  const char* path = kChat;
};

std::vector<Row> rows() {
  return {
      {"a field is missing", R"("model":"fake")", 400, "messages", nullptr},
      {"no model", R"("messages":[{"role":"user","content":"x"}])", 400, "model", nullptr},
      {"a field of the wrong type", R"("model":"fake","messages":"x")", 400, "messages", nullptr},
      {"within a list",
       R"("model":"fake","messages":[{"role":"user","content":5}])",
       400,
       "messages[0].content",
       nullptr},
      {"an unknown word",
       R"("model":"fake","messages":[{"role":"king","content":"x"}])",
       400,
       "messages[0].role",
       "invalid_value"},
      {"an image that is no data",
       R"("model":"fake","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}])",
       400,
       "messages[0].content[0].type",
       "unsupported"},
      {"an unknown model",
       R"("model":"other","messages":[{"role":"user","content":"x"}])",
       404,
       "model",
       "model_not_found"},
  };
}

std::vector<Row> rows_of_hello() {
  return {
      {"out of range", R"("temperature":3)", 400, "temperature", "invalid_value"},
      {"too many tokens", R"("max_tokens":100000)", 400, "messages", "context_length_exceeded"},
  };
}

class ErrorTable : public ::testing::Test {
 protected:
  void expect_everywhere(const Row& row, const std::string& fields) {
    SCOPED_TRACE(row.name);
    const std::string wanted = golden(row.type, row.param, row.code);
    for (const char* stream : {"false", "true"}) {
      SCOPED_TRACE(stream);
      const std::string body = fmt::format(R"({{{},"stream":{}}})", fields, stream);
      const TestResponse response = server_.post(row.path, body);
      EXPECT_EQ(response.status, row.status);
      EXPECT_EQ(response.header("content-type"), "application/json");
      EXPECT_FALSE(response.header("x-request-id").empty());
      EXPECT_EQ(masked(response.json_body()), wanted);

      WebSocketClient socket(server_.port());
      socket.send(fmt::format(R"({{"id":"a","path":"{}","body":{}}})", row.path, body));
      const json::value reply = socket.receive();
      EXPECT_EQ(reply.at_pointer("/status"), row.status);
      EXPECT_EQ(masked(reply.at_pointer("/body")), wanted);
    }
  }

  TestServer server_;
};

TEST_F(ErrorTable, WhatIsWrongWithAField) {
  for (const Row& row : rows()) expect_everywhere(row, row.fields);
  for (const Row& row : rows_of_hello())
    expect_everywhere(row, fmt::format("{},{}", kHello, row.fields));
}

TEST_F(ErrorTable, WhatIsNoJson) {
  const std::string wanted = golden("invalid_request_error", nullptr, nullptr);
  const std::vector<std::string> bodies = {
      "{", "", "\"\xC3\"", std::string(200, '['), R"({"model":"a","model":"b"})", "{} x", "[1e999]"
  };
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body);
    const TestResponse response = server_.post(kChat, body);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(masked(response.json_body()), wanted);
    if (body.empty()) continue;
    WebSocketClient socket(server_.port());
    socket.send(fmt::format(R"({{"id":"a","path":"{}","body":{}}})", kChat, body));
    const std::optional<WebSocketClient::Frame> frame = socket.receive_frame();
    ASSERT_TRUE(frame);
    if (frame->opcode == 8) continue;  // what is no UTF-8 is no text message
    const json::value reply = parse_json(frame->payload);
    EXPECT_EQ(reply.at_pointer("/status"), 400);
    EXPECT_EQ(masked(reply.at_pointer("/body")), wanted);
  }
}

TEST_F(ErrorTable, WhatIsNotHere) {
  const std::string wanted = golden("invalid_request_error", nullptr, nullptr);
  const TestResponse nowhere = server_.post("/v1/nowhere", "{}");
  EXPECT_EQ(nowhere.status, 404);
  EXPECT_EQ(masked(nowhere.json_body()), wanted);
  const TestResponse method = server_.ask("DELETE", kChat);
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("allow"), "POST, OPTIONS");
  EXPECT_EQ(masked(method.json_body()), wanted);
  WebSocketClient socket(server_.port());
  socket.send(R"({"id":"a","path":"/v1/nowhere","body":{}})");
  const json::value reply = socket.receive();
  EXPECT_EQ(reply.at_pointer("/status"), 404);
  EXPECT_EQ(masked(reply.at_pointer("/body")), wanted);
}

TEST_F(ErrorTable, WhoMayAsk) {
  TestClient client(server_.port());
  client.send("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  const auto foreign = client.receive("GET");
  ASSERT_TRUE(foreign);
  EXPECT_EQ(foreign->status, 403);
  const std::string forbidden = golden("invalid_request_error", nullptr, "forbidden_origin");
  EXPECT_EQ(masked(foreign->json_body()), forbidden);
  const WebSocketClient socket(server_.port(), "Origin: https://evil.example\r\n");
  EXPECT_EQ(socket.handshake().status, 403);
  EXPECT_EQ(masked(socket.handshake().json_body()), forbidden);
}

// The list is the server's own, so that a new route is asked, too.
TEST(ErrorTableKeys, NoRouteAnswersWithoutAKeyButTheProbes) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret-key";
  const TestServer guarded(options);
  const TestServer open;
  const std::string wanted = golden("invalid_request_error", nullptr, "invalid_api_key");
  const json::value document = open.ask("GET", "/openapi.json").json_body();
  int num_routes = 0;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      const json::value* found = operation.as_object().if_contains("security");
      const json::array* security = found == nullptr ? nullptr : found->if_array();
      const bool is_open = security != nullptr && security->empty();
      std::string verb(method);
      for (char& letter : verb) letter = static_cast<char>(letter - 'a' + 'A');
      SCOPED_TRACE(fmt::format("{} {}", verb, std::string_view(path.data(), path.size())));
      const TestResponse response = guarded.ask(verb, std::string(path));
      ++num_routes;
      if (is_open) continue;
      EXPECT_EQ(response.status, 401);
      if (path.starts_with("/v1/messages") || path.starts_with("/api/")) continue;
      EXPECT_TRUE(
          response.body.find("invalid_api_key") != std::string::npos ||
          response.body.find("authentication_error") != std::string::npos
      );
    }
  }
  EXPECT_GT(num_routes, 30);
  const TestResponse chat = guarded.post(kChat, "{}");
  EXPECT_EQ(masked(chat.json_body()), wanted);
  const WebSocketClient socket(guarded.port());
  EXPECT_EQ(socket.handshake().status, 401);
  EXPECT_EQ(masked(socket.handshake().json_body()), wanted);
}

TEST(ErrorTableSizes, WhatIsTooSlowOrTooLarge) {
  ServerOptions options = TestServer::quick_options();
  options.max_body_bytes = 1000;
  options.header_timeout = milliseconds(300);
  const TestServer server(options);
  const std::string large = golden("invalid_request_error", nullptr, "request_too_large");
  const TestResponse body = server.post(kChat, std::string(1001, ' '));
  EXPECT_EQ(body.status, 413);
  EXPECT_EQ(masked(body.json_body()), large);
  TestClient long_head(server.port());
  long_head.send(
      request_text("GET", "/v1/models", "", "X-Long: " + std::string(17'000, 'a') + "\r\n")
  );
  const auto head = long_head.receive("GET");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 431);
  EXPECT_EQ(masked(head->json_body()), large);
  TestClient slow_client(server.port());
  slow_client.send("GET /v1/models HTTP/1.1\r\nHost:");
  const auto slow = slow_client.receive("GET");
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow->status, 408);
  EXPECT_EQ(masked(slow->json_body()), golden("invalid_request_error", nullptr, "request_timeout"));
}

TEST(ErrorTableLoad, AFullQueueAndADrain) {
  FakeEngineOptions engine;
  engine.max_queue = 1;
  engine.max_sequences = 1;
  TestServer server(TestServer::quick_options(), engine);
  const std::string many = fmt::format(R"({{{},"n":8}})", kHello);
  const TestResponse full = server.post(kChat, many);
  EXPECT_EQ(full.status, 429);
  EXPECT_FALSE(full.header("retry-after").empty());
  const std::string limited = golden("rate_limit_error", nullptr, "rate_limit_exceeded");
  EXPECT_EQ(masked(full.json_body()), limited);
  WebSocketClient socket(server.port());
  socket.send(fmt::format(R"({{"id":"a","path":"{}","body":{}}})", kChat, many));
  EXPECT_EQ(masked(socket.receive().at_pointer("/body")), limited);

  EXPECT_EQ(server.server().drain(milliseconds(100)), 0);
  const TestResponse draining = server.post(kChat, fmt::format("{{{}}}", kHello));
  EXPECT_EQ(draining.status, 503);
  EXPECT_FALSE(draining.header("retry-after").empty());
  const std::string closing = golden("service_unavailable_error", nullptr, "shutting_down");
  EXPECT_EQ(masked(draining.json_body()), closing);
  socket.send(fmt::format(R"({{"id":"b","path":"{}","body":{{{}}}}})", kChat, kHello));
  EXPECT_EQ(masked(socket.receive().at_pointer("/body")), closing);
}

struct FaultCase {
  const char* code;
  FakeRunnerOptions runner;
};

FaultCase device_fault() {
  FaultCase fault{.code = "engine_error", .runner = {.num_pages = 512}};
  fault.runner.before_step = [](std::uint64_t step) {
    if (step == 4) throw std::runtime_error("the device is gone");
  };
  return fault;
}

FaultCase nan_fault() {
  FaultCase fault{.code = "numerical_error", .runner = {.num_pages = 512}};
  fault.runner.after_step = [](const Batch& batch, StepResult& result) {
    if (batch.step >= 4 && !result.tokens.empty()) result.tokens[0].is_finite = false;
  };
  return fault;
}

TEST(ErrorTableFaults, BeforeAndWithinAStream) {
  for (const FaultCase& fault : {device_fault(), nan_fault()}) {
    SCOPED_TRACE(fault.code);
    const std::string wanted = golden("server_error", nullptr, fault.code);
    {
      const TestServer server(TestServer::quick_options(), {.runner = fault.runner});
      const TestResponse whole =
          server.post(kChat, fmt::format(R"({{{},"max_tokens":50}})", kHello));
      EXPECT_EQ(whole.status, 500);
      EXPECT_EQ(masked(whole.json_body()), wanted);
    }
    const std::string stream = fmt::format(R"({{{},"max_tokens":50,"stream":true}})", kHello);
    {
      const TestServer server(TestServer::quick_options(), {.runner = fault.runner});
      TestClient client(server.port());
      client.send(request_text("POST", kChat, stream));
      const auto response = client.receive();
      ASSERT_TRUE(response);
      EXPECT_EQ(response->status, 200);
      EXPECT_EQ(masked(parse_json(sse_data(response->body).back())), wanted);
      EXPECT_EQ(response->body.find("[DONE]"), std::string::npos);
      EXPECT_TRUE(client.is_closed_within(seconds(3)));
    }
    const TestServer server(TestServer::quick_options(), {.runner = fault.runner});
    WebSocketClient socket(server.port());
    socket.send(fmt::format(R"({{"id":"a","path":"{}","body":{}}})", kChat, stream));
    json::value last;
    json::value message = socket.receive();
    for (; message.is_object() && !message.as_object().contains("done"); message = socket.receive())
      last = message;
    EXPECT_EQ(masked(last.at_pointer("/data")), wanted);
    EXPECT_EQ(message.at_pointer("/done"), false);
  }
}

// Codes that need more than a fake engine to come up have the same way from code to body.
TEST(ErrorTableCodes, EachCodeHasItsRow) {
  struct Code {
    ErrorCode code;
    int status;
    const char* type;
  };
  const std::vector<Code> codes = {
      {ErrorCode::overloaded, 503, "service_unavailable_error"},
      {ErrorCode::shutting_down, 503, "service_unavailable_error"},
      {ErrorCode::rate_limit_exceeded, 429, "rate_limit_error"},
      {ErrorCode::deadline_exceeded, 504, "server_error"},
      {ErrorCode::engine_error, 500, "server_error"},
      {ErrorCode::numerical_error, 500, "server_error"},
      {ErrorCode::model_not_found, 404, "invalid_request_error"},
      {ErrorCode::context_length_exceeded, 400, "invalid_request_error"},
  };
  for (const Code& row : codes) {
    const HttpFault fault = fault_of(Error(row.code, "why"));
    const std::string name(error_code_info(row.code).name);
    SCOPED_TRACE(name);
    EXPECT_EQ(fault.status, row.status);
    EXPECT_EQ(
        masked(parse_json(render_openai_fault(fault))), golden(row.type, nullptr, name.c_str())
    );
    EXPECT_EQ(fault.headers.empty(), row.status != 429 && row.status != 503);
  }
}

}  // namespace
}  // namespace mlxs
