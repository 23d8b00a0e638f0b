// An exchange over HTTP: it writes the framing of HTTP/1.1 and HTTP/1.0.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/connection.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"

namespace mlxs {

// Thread safety: on the connection's executor only.
class HttpExchange final : public Exchange {
 public:
  // REQUIRES: the service and connection outlive it.
  HttpExchange(HttpService& service, Connection& connection)
      : Exchange(service), connection_(connection) {}

  Task<std::unique_ptr<WebSocketChannel>> accept_web_socket() override;

  void set_head(const RequestHead& head);
  // Lets pages of `origin` read the answer.
  void allow_page(std::string origin) { page_origin_ = std::move(origin); }
  void close_after() { keep_alive_ = KeepAlive::no; }
  [[nodiscard]] KeepAlive keep_alive() const { return keep_alive_; }

 private:
  Task<void> send_whole(HttpResponse response) override;
  Task<void> send_stream_head(std::string_view content_type) override;
  Task<void> send_piece(std::string_view bytes) override;
  Task<void> send_stream_end(StreamEnd end) override;
  [[nodiscard]] std::string head_text(int status, std::string_view content_type);

  Connection& connection_;
  int version_ = 11;
  KeepAlive keep_alive_ = KeepAlive::no;
  std::string upgrade_head_;  // empty: no WebSocket is asked for
  std::string page_origin_;   // empty: no page of another origin may read the answer
  bool is_head_ = false;      // the method HEAD: no body is sent
};

}  // namespace mlxs
