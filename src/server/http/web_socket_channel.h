// A connection that speaks WebSocket: whole messages in, whole messages out. It knows nothing of
// what is in them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/connection.h"
#include "server/http/task.h"
#include "server/server_options.h"

namespace mlxs {

// Thread safety: on the connection's executor only. Invariant: at most one read() and one write()
// at a time.
class WebSocketChannel {
 public:
  virtual ~WebSocketChannel() = default;

  struct Message {
    std::string bytes;
    bool is_text = true;
  };

  // Waits for a message. RETURNS: nothing once the client has closed, broke the protocol, sent more
  // than max_body_bytes or left no sign of life for idle_timeout.
  virtual Task<std::optional<Message>> read() = 0;

  // Sends a text message. ERRORS: ConnectionLost, also where the client does not take it in time.
  virtual Task<void> write(std::string_view text) = 0;
};

// Answers the handshake. permessage-deflate is not offered. REQUIRES: `options` outlives the
// channel, which keeps the connection; nothing was read of what follows the head. ERRORS:
// ConnectionLost; HttpError 400 for a head that is no sound handshake.
Task<std::unique_ptr<WebSocketChannel>> accept_web_socket(
    Connection& connection, const ServerOptions& options, std::string_view head
);

}  // namespace mlxs
