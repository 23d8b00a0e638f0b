// The head of every response is written here, so that every response carries its request id.
#include "server/http/exchange.h"

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include <boost/beast/http/status.hpp>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string_view>
#include <utility>

#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/http/task.h"

namespace mlxs {

void Exchange::set_head(const RequestHead& head) {
  version_ = head.version;
  keep_alive_ = head.keep_alive;
  is_head_ = head.method == "HEAD";
}

void Exchange::note(std::string_view key, std::size_t value) {
  notes_ += fmt::format(" {}={}", key, value);
}

std::string Exchange::head_text(int status, std::string_view content_type) {
  if (service_.is_draining) keep_alive_ = KeepAlive::no;
  status_ = status;
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
  text += fmt::format("x-request-id: {}\r\n", request_.id);
  if (!content_type.empty()) text += fmt::format("Content-Type: {}\r\n", content_type);
  text += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
  text += keep_alive_ == KeepAlive::yes ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return text;
}

Task<void> Exchange::respond(HttpResponse response) {
  std::string text = head_text(response.status, response.content_type);
  for (const HttpHeader& header : response.headers)
    text += fmt::format("{}: {}\r\n", header.name, header.value);
  if (response.status != 204) text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += "\r\n";
  if (!is_head_) text += response.body;
  co_await connection_.write(text, service_.options.write_timeout);
}

Task<void> Exchange::respond(const HttpFault& fault) {
  HttpResponse response;
  response.status = fault.status;
  response.body = service_.render_fault(fault);
  response.headers = fault.headers;
  co_await respond(std::move(response));
}

Task<void> Exchange::begin_stream(std::string_view content_type) {
  if (version_ == 10)
    keep_alive_ = KeepAlive::no;  // without chunks only the end of the connection ends the body
  std::string text = head_text(200, content_type);
  if (version_ == 11) text += "Transfer-Encoding: chunked\r\n";
  text += "\r\n";
  co_await connection_.write(text, service_.options.write_timeout);
}

Task<void> Exchange::write(std::string_view bytes) {
  if (bytes.empty()) co_return;  // an empty chunk would end the stream
  std::string text;
  if (version_ == 11) {
    text = fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
  } else {
    text = bytes;
  }
  co_await connection_.write(text, service_.options.write_timeout);
}

Task<void> Exchange::end_stream(StreamEnd end) {
  if (end == StreamEnd::broken) close_after();
  if (version_ == 11) {
    const std::string_view last_chunk = "0\r\n\r\n";
    co_await connection_.write(last_chunk, service_.options.write_timeout);
  }
}

}  // namespace mlxs
