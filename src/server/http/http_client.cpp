// Blocking on the outside; inside an io_context of its own, whose run_for() is the timeout.
#include "server/http/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/error.h"
#include "server/http/message.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::string_view kScheme = "http://";
constexpr std::size_t kMaxAnswerBytes = std::size_t{256} << 20;

// One request, step by step; each handler starts the next step.
class Conversation {
 public:
  Conversation(asio::io_context& io, const HttpCall& call)
      : call_(call), resolver_(io), stream_(io) {
    request_.version(11);
    request_.method_string(call.method);
    request_.target(call.url.path);
    request_.set(http::field::host, call.url.host + ":" + call.url.port);
    request_.set(http::field::user_agent, "mlx-serving");
    request_.set(http::field::connection, "close");
    if (!call.body.empty()) request_.set(http::field::content_type, "application/json");
    for (const HttpHeader& header : call.headers) request_.set(header.name, header.value);
    request_.body() = call.body;
    request_.prepare_payload();
    parser_.body_limit(kMaxAnswerBytes);
    resolver_.async_resolve(call.url.host, call.url.port, [this](auto error, auto addresses) {
      if (!is_good(error)) return;
      stream_.async_connect(addresses, [this](auto failed, const auto&) {
        if (is_good(failed)) send();
      });
    });
  }

  [[nodiscard]] bool is_done() const { return parser_.is_done(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] HttpAnswer take_answer() {
    return {.status = static_cast<int>(parser_.get().result_int()), .body = std::move(body_)};
  }

 private:
  void send() {
    http::async_write(stream_, request_, [this](auto error, std::size_t) {
      if (is_good(error)) receive();
    });
  }

  void receive() {
    http::async_read_some(stream_, buffer_, parser_, [this](auto error, std::size_t) {
      if (!is_good(error)) return;
      take_piece();
      if (!parser_.is_done()) receive();
    });
  }

  void take_piece() {
    std::string& piece = parser_.get().body();
    if (piece.empty()) return;
    if (call_.on_piece) {
      call_.on_piece(piece);
    } else {
      body_ += piece;
    }
    piece.clear();
  }

  bool is_good(const boost::system::error_code& error) {
    if (error) error_ = error.message();
    return !error;
  }

  const HttpCall& call_;
  asio::ip::tcp::resolver resolver_;
  beast::tcp_stream stream_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  std::string body_;
  std::string error_;
};

}  // namespace

HttpUrl parse_http_url(std::string_view url) {
  const auto refuse = [url] {
    return Error(
        ErrorCode::invalid_config,
        "\"" + std::string(url) + "\" is not of the form http://HOST[:PORT][/PATH]"
    );
  };
  if (!url.starts_with(kScheme)) throw refuse();
  const std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  // A colon within brackets is an IPv6 address's.
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  HttpUrl result{
      .host = std::string(has_port ? authority.substr(0, colon) : authority),
      .port = has_port ? std::string(authority.substr(colon + 1)) : "80",
      .path = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash))
  };
  if (result.host.starts_with('[') && result.host.ends_with(']'))
    result.host = result.host.substr(1, result.host.size() - 2);
  const bool is_port =
      !result.port.empty() && result.port.find_first_not_of("0123456789") == std::string::npos;
  if (result.host.empty() || !is_port) throw refuse();
  return result;
}

HttpAnswer http_call(const HttpCall& call) {
  asio::io_context io;
  Conversation conversation(io, call);
  io.run_for(call.timeout);
  if (!conversation.is_done()) {
    const std::string why =
        conversation.error().empty() ? "no whole answer in time" : conversation.error();
    throw Error(
        ErrorCode::io_error, call.url.host + ":" + call.url.port + call.url.path + ": " + why
    );
  }
  return conversation.take_answer();
}

}  // namespace mlxs
