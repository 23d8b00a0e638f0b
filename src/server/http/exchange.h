// One request and the answer to it: what a handler holds. It writes HTTP framing and knows nothing
// about the body.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "server/http/connection.h"
#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

enum class StreamEnd {
  complete,  // the connection may serve the next request
  broken,    // the client is told no more; the connection closes
};

// Thread safety: on the connection's executor only.
class Exchange {
 public:
  // REQUIRES: the service and connection outlive it.
  Exchange(HttpService& service, Connection& connection)
      : service_(service), connection_(connection) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] bool has_started() const { return status_ != 0; }  // whether a status was sent
  [[nodiscard]] int status() const { return status_; }             // 0: none yet

  // Answers at once. REQUIRES: !has_started(). ERRORS, here and below: ConnectionLost.
  Task<void> respond(HttpResponse response);
  Task<void> respond(const HttpFault& fault);

  // Answers piece by piece; write() returns when the client's socket has taken the bytes.
  Task<void> begin_stream(std::string_view content_type);
  Task<void> write(std::string_view bytes);
  Task<void> end_stream(StreamEnd end);

  // Adds ` key=value` to the line that is logged for this request.
  void note(std::string_view key, std::size_t value);

  // For the session.
  void set_head(const RequestHead& head);
  void set_request(HttpRequest request) { request_ = std::move(request); }
  HttpRequest& mutable_request() { return request_; }
  void close_after() { keep_alive_ = KeepAlive::no; }
  [[nodiscard]] KeepAlive keep_alive() const { return keep_alive_; }
  [[nodiscard]] const std::string& notes() const { return notes_; }

 private:
  [[nodiscard]] std::string head_text(int status, std::string_view content_type);

  HttpService& service_;
  Connection& connection_;
  HttpRequest request_;
  int version_ = 11;
  KeepAlive keep_alive_ = KeepAlive::no;
  bool is_head_ = false;  // the method HEAD: no body is sent
  int status_ = 0;
  std::string notes_;
};

}  // namespace mlxs
