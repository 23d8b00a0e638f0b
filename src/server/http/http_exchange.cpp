// The head of every response is written here, so that every response carries its request id.
#include "server/http/http_exchange.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <boost/beast/http/status.hpp>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"

namespace mlxs {

void HttpExchange::set_head(const RequestHead& head) {
  version_ = head.version;
  keep_alive_ = head.keep_alive;
  is_head_ = head.method == "HEAD";
  upgrade_head_ = head.upgrade_head;
}

Task<std::unique_ptr<WebSocketChannel>> HttpExchange::accept_web_socket() {
  if (upgrade_head_.empty()) co_return co_await Exchange::accept_web_socket();
  if (!connection_.input().empty())
    throw HttpError(client_fault(400, "a WebSocket's first frame waits for the handshake"));
  auto channel = co_await mlxs::accept_web_socket(connection_, service().options, upgrade_head_);
  set_status(101);
  co_return channel;
}

std::string HttpExchange::head_text(int status, std::string_view content_type) {
  if (service().is_draining) keep_alive_ = KeepAlive::no;
  const auto reason =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::string text = fmt::format(
      "HTTP/1.{} {} {}\r\n",
      version_ == 10 ? 0 : 1,
      status,
      std::string_view(reason.data(), reason.size())
  );
  text += fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", fmt::gmtime(now));
  text += fmt::format("x-request-id: {}\r\n", request().id);
  if (!page_origin_.empty()) {
    text += fmt::format("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n", page_origin_);
    text += status == 204
                ? "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"
                  "Access-Control-Allow-Headers: *, Authorization\r\n"
                  "Access-Control-Max-Age: 600\r\n"
                : "Access-Control-Expose-Headers: x-request-id, request-id, Retry-After\r\n";
  }
  if (!content_type.empty()) text += fmt::format("Content-Type: {}\r\n", content_type);
  text += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  text += keep_alive_ == KeepAlive::yes ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return text;
}

Task<void> HttpExchange::send_whole(HttpResponse response) {
  std::string text = head_text(response.status, response.content_type);
  for (const HttpHeader& header : response.headers)
    text += fmt::format("{}: {}\r\n", header.name, header.value);
  if (response.status != 204) text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += "\r\n";
  if (!is_head_) text += response.body;
  co_await connection_.write(text, service().options.write_timeout);
}

Task<void> HttpExchange::send_stream_head(std::string_view content_type) {
  if (version_ == 10)
    keep_alive_ = KeepAlive::no;  // without chunks only the end of the connection ends the body
  std::string text = head_text(200, content_type);
  if (!dialect().id_header.empty())
    text += fmt::format("{}: {}\r\n", dialect().id_header, request().id);
  if (version_ == 11) text += "Transfer-Encoding: chunked\r\n";
  text += "\r\n";
  co_await connection_.write(text, service().options.write_timeout);
}

Task<void> HttpExchange::send_piece(std::string_view bytes) {
  std::string text;
  if (version_ == 11) {
    text = fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
  } else {
    text = bytes;
  }
  co_await connection_.write(text, service().options.write_timeout);
}

Task<void> HttpExchange::send_stream_end(StreamEnd end) {
  if (end == StreamEnd::broken) close_after();
  if (version_ == 11) {
    const std::string_view last_chunk = "0\r\n\r\n";
    co_await connection_.write(last_chunk, service().options.write_timeout);
  }
}

}  // namespace mlxs
