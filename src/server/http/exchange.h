// One request and the answer to it: what a handler holds. It knows nothing about the body, and how
// the answer travels is the business of its kinds.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/message.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"

namespace mlxs {

enum class StreamEnd {
  complete,  // the connection may serve the next request
  broken,    // the client is told no more; the connection closes
};

// Thread safety: on the connection's executor only.
class Exchange {
 public:
  // REQUIRES: the service outlives it.
  explicit Exchange(HttpService& service) : service_(service), dialect_(&service.dialect) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] const Dialect& dialect() const { return *dialect_; }
  [[nodiscard]] bool has_started() const { return status_ != 0; }  // whether a status was sent
  [[nodiscard]] int status() const { return status_; }             // 0: none yet

  // Answers at once. REQUIRES: !has_started(). ERRORS, here and below: ConnectionLost.
  Task<void> respond(HttpResponse response);
  Task<void> respond(const HttpFault& fault);

  // Answers piece by piece; write() returns when the client's socket has taken the bytes.
  Task<void> begin_stream(std::string_view content_type);
  Task<void> write(std::string_view bytes);
  Task<void> end_stream(StreamEnd end);

  // Turns the connection into a WebSocket. REQUIRES: !has_started(); the route's work is upgrade.
  // ERRORS: HttpError 426 where the client did not ask for one.
  virtual Task<std::unique_ptr<WebSocketChannel>> accept_web_socket();

  // Adds ` key=value` to the line that is logged for this request.
  void note(std::string_view key, std::size_t value);

  // Keeps the answer from now on, unless its body is larger than `max_bytes`.
  void record(std::size_t max_bytes);
  // RETURNS: the kept answer, a stream as one body; nothing where it is not complete or too large.
  [[nodiscard]] std::optional<HttpResponse> take_record();

  // For the session.
  void set_request(HttpRequest request) { request_ = std::move(request); }
  HttpRequest& mutable_request() { return request_; }
  void set_dialect(const Dialect& dialect) { dialect_ = &dialect; }
  [[nodiscard]] const std::string& notes() const { return notes_; }

 protected:
  HttpService& service() { return service_; }
  void set_status(int status) { status_ = status; }

 private:
  virtual Task<void> send_whole(HttpResponse response) = 0;
  virtual Task<void> send_stream_head(std::string_view content_type) = 0;
  virtual Task<void> send_piece(std::string_view bytes) = 0;  // never empty
  virtual Task<void> send_stream_end(StreamEnd end) = 0;

  HttpService& service_;
  const Dialect* dialect_;
  HttpRequest request_;
  int status_ = 0;
  std::string notes_;
  std::size_t max_record_bytes_ = 0;
  bool is_record_complete_ = false;
  std::optional<HttpResponse> record_;  // none: nothing is kept
};

}  // namespace mlxs
