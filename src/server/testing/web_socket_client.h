// A WebSocket client of raw bytes, so that it shares no code with the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/testing/test_server.h"

namespace mlxs {

class WebSocketClient {
 public:
  // Connects and sends the handshake to /v1/ws with further `headers`.
  explicit WebSocketClient(std::uint16_t port, std::string_view headers = {});

  // RETURNS: the answer to the handshake.
  [[nodiscard]] const TestResponse& handshake() const { return handshake_; }

  // Sends one frame; opcode 1 is a text, 2 binary, 8 a close, 9 a ping.
  void send_frame(int opcode, std::string_view payload);
  void send(std::string_view text) { send_frame(1, text); }

  struct Frame {
    int opcode = 0;
    std::string payload;
  };

  // RETURNS: the next frame; nothing where the connection ended or stayed silent.
  [[nodiscard]] std::optional<Frame> receive_frame();
  // RETURNS: the next text as JSON; null where none came.
  [[nodiscard]] json::value receive();

  [[nodiscard]] TestClient& socket() { return client_; }

 private:
  TestClient client_;
  TestResponse handshake_;
};

}  // namespace mlxs
