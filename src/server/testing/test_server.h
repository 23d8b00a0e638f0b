// A server on a fake engine, and a client of raw bytes: what the tests of this room talk with.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/testing/fake_engine.h"
#include "server/server.h"

namespace mlxs {

struct TestResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // chunks joined
  bool is_complete = false;                                  // the body ended as its framing says

  [[nodiscard]] std::string header(std::string_view name) const;  // empty: absent
  [[nodiscard]] json::value json_body() const;
};

// A blocking socket to 127.0.0.1. Every wait ends after ten seconds.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // RETURNS: false where the server has closed the connection.
  bool send(std::string_view bytes);

  // RETURNS: the next response; nothing where the connection ended or stayed silent before a whole
  // head.
  [[nodiscard]] std::optional<TestResponse> receive(std::string_view method = "POST");

  // Reads until `text` was seen. RETURNS: whether it was.
  [[nodiscard]] bool receive_until(std::string_view text);

  // RETURNS: whether the server closes the connection within `timeout`, with nothing or anything
  // before.
  [[nodiscard]] bool is_closed_within(std::chrono::milliseconds timeout);

  // Appends the next bytes to `out`. RETURNS: false where fewer came.
  bool read_exactly(std::size_t num_bytes, std::string& out);

  void set_receive_buffer(int num_bytes);
  void reset();  // closes with a RST
  void close();

 private:
  bool read_some();
  [[nodiscard]] std::optional<std::string> read_line();
  bool read_chunks(std::string& out);

  int socket_ = -1;
  std::string input_;
};

class TestServer {
 public:
  explicit TestServer(
      ServerOptions options = quick_options(), const FakeEngineOptions& engine = {}
  );

  // Options with short timeouts and no log, on a free port.
  [[nodiscard]] static ServerOptions quick_options();

  [[nodiscard]] Engine& engine() { return *engine_; }
  [[nodiscard]] Server& server() { return server_; }
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

  // One request on a connection of its own. RETURNS: a response of status 0 where none came.
  [[nodiscard]] TestResponse ask(
      std::string_view method, std::string_view path, std::string_view body = {}
  ) const;
  [[nodiscard]] TestResponse post(std::string_view path, std::string_view body) const {
    return ask("POST", path, body);
  }

  // RETURNS: whether the engine has no request left within `timeout`.
  [[nodiscard]] bool becomes_idle(std::chrono::milliseconds timeout) const;

 private:
  std::unique_ptr<Engine> engine_;
  Server server_;
};

// RETURNS: the bytes of a request with Host and, where there is a body, Content-Type and
// Content-Length.
[[nodiscard]] std::string request_text(
    std::string_view method,
    std::string_view path,
    std::string_view body = {},
    std::string_view headers = {}
);

// RETURNS: the data of each event of a stream.
[[nodiscard]] std::vector<std::string> sse_data(std::string_view body);

// RETURNS: name and data of each event of a stream of named events.
[[nodiscard]] std::vector<std::pair<std::string, json::value>> named_events(std::string_view body);

// RETURNS: what the fake model says after the ids of `prompt`, greedily.
[[nodiscard]] std::string fake_greedy_text(std::vector<std::int32_t> prompt, int num_tokens);

}  // namespace mlxs
