// The messages of the WebSocket door: a client's request or cancellation in, parts of answers out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlxs {

struct SocketMessage {
  std::string id;  // the client's own, by which it knows the answer
  bool is_cancel = false;
  std::string method;  // of a request
  std::string path;
  std::string query;
  std::string body;  // JSON text; empty: none
};

// {"id": "a", "path": "/v1/chat/completions", "body": {...}}, with "method" where it is not POST,
// or
// {"id": "a", "cancel": true}. ERRORS: Error(invalid_request) for anything else.
[[nodiscard]] SocketMessage parse_socket_message(std::string_view text);

// RETURNS: {"id", "status", "body"}: an answer at once. `body` is JSON text; an empty id is null.
[[nodiscard]] std::string whole_message(std::string_view id, int status, std::string_view body);

// RETURNS: {"id", "event", "data"}: a part of a stream. `data` is JSON text; an empty event is left
// out.
[[nodiscard]] std::string part_message(
    std::string_view id, std::string_view event, std::string_view data
);

enum class SocketStreamEnd { complete, broken };

// RETURNS: {"id", "done"}: the end of a stream; false where it was cut off.
[[nodiscard]] std::string end_message(std::string_view id, SocketStreamEnd end);

// RETURNS: a message for each part of a piece of a stream: server-sent events, or lines of JSON.
[[nodiscard]] std::vector<std::string> messages_of_piece(
    std::string_view id, std::string_view content_type, std::string_view piece
);

}  // namespace mlxs
