// The head of a request, parsed and checked for everything that decides how its body is read and
// who sent it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlxs {

enum class KeepAlive { no, yes };

struct RequestHead {
  std::string method;
  std::string target;
  std::string path;   // the target without its query
  std::string query;  // what follows the "?"; empty: nothing
  int version = 11;   // 10 or 11
  KeepAlive keep_alive = KeepAlive::no;
  std::optional<std::uint64_t> content_length;
  bool is_chunked = false;
  bool expects_continue = false;
  std::optional<std::string> host;
  std::optional<std::string> origin;
  std::optional<std::string> authorization;
  std::optional<std::string> api_key;     // of the field X-API-Key, which Anthropic's clients send
  std::optional<std::string> request_id;  // only a sound one
  std::optional<std::string> idempotency_key;
  std::optional<std::string> traceparent;  // as sent, unless it is far too long
  std::string upgrade_head;  // all bytes of a head that asks for a WebSocket; empty: it does not

  [[nodiscard]] bool has_body() const { return is_chunked || content_length.value_or(0) > 0; }
};

// REQUIRES: scan_head() found `bytes` complete.
// ERRORS: HttpError 400 for a malformed head, a missing or repeated Host, a repeated or
// contradictory length and a
//   target that is not a path; 415, 417, 501 and 505 for an encoding, expectation, transfer coding
//   and version that this server does not have.
[[nodiscard]] RequestHead parse_request_head(std::string_view bytes);

}  // namespace mlxs
