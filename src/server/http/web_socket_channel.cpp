// Beast's own timer watches for silence: it pings halfway, and ends the read when nothing comes
// back.
#include "server/http/web_socket_channel.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "server/http/connection.h"
#include "server/http/message.h"
#include "server/http/stream_socket.h"
#include "server/http/task.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPieceBytes = std::size_t{64} << 10;
constexpr std::size_t kKeptBytes = std::size_t{64} << 10;  // of the buffer, between messages

using Handshake = http::request<http::empty_body>;

// REQUIRES: parse_request_head() took `head` as sound.
Handshake parse_handshake(std::string_view head) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(std::numeric_limits<std::uint32_t>::max());
  parser.eager(true);
  beast::error_code ec;
  (void)parser.put(asio::buffer(head), ec);
  if (ec || !parser.is_header_done() || !websocket::is_upgrade(parser.get()))
    throw HttpError(client_fault(400, "this is no sound handshake of a WebSocket"));
  return parser.release();
}

template <typename Stream>
class Channel final : public WebSocketChannel {
 public:
  Channel(Stream& stream, Connection& connection, const ServerOptions& options)
      : socket_(stream), connection_(connection.shared_from_this()), options_(options) {
    websocket::permessage_deflate deflate;
    deflate.server_enable = false;
    socket_.set_option(deflate);
    socket_.read_message_max(options.max_body_bytes);
    socket_.write_buffer_bytes(kPieceBytes);
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = options.header_timeout;
    timeout.idle_timeout = options.idle_timeout;
    timeout.keep_alive_pings = true;
    socket_.set_option(timeout);
  }

  Task<void> accept(Handshake handshake) {
    const auto [ec] = co_await socket_.async_accept(handshake, kAwaitTuple);
    if (ec) throw ConnectionLost();
  }

  Task<std::optional<Message>> read() override {
    const auto [ec, num_bytes] = co_await socket_.async_read(buffer_, kAwaitTuple);
    if (ec) co_return std::nullopt;
    Message message;
    message.bytes = beast::buffers_to_string(buffer_.data());
    message.is_text = socket_.got_text();
    buffer_.consume(num_bytes);
    if (buffer_.capacity() > kKeptBytes) buffer_.shrink_to_fit();
    co_return message;
  }

  Task<void> write(std::string_view text) override {
    socket_.text(true);
    connection_->arm(options_.write_timeout);
    // Cancelling one request must not leave half of its frame between those of the others.
    const auto [ec, num_bytes] = co_await socket_.async_write(
        asio::buffer(text), asio::bind_cancellation_slot(asio::cancellation_slot(), kAwaitTuple)
    );
    connection_->disarm();
    if (ec) throw ConnectionLost();
  }

 private:
  websocket::stream<Stream&> socket_;
  const std::shared_ptr<Connection> connection_;  // a request's answer may outlive the session
  const ServerOptions& options_;
  beast::flat_buffer buffer_;
};

template <typename Stream>
Task<std::unique_ptr<WebSocketChannel>> accept_on(
    Stream& stream, Connection& connection, const ServerOptions& options, Handshake handshake
) {
  auto channel = std::make_unique<Channel<Stream>>(stream, connection, options);
  co_await channel->accept(std::move(handshake));
  co_return channel;
}

}  // namespace

Task<std::unique_ptr<WebSocketChannel>> accept_web_socket(
    Connection& connection, const ServerOptions& options, std::string_view head
) {
  Handshake handshake = parse_handshake(head);
  if (auto* plain = std::get_if<PlainSocket>(&connection.stream()))
    co_return co_await accept_on(*plain, connection, options, std::move(handshake));
  TlsSocket& tls = std::get<TlsSocket>(connection.stream());
  co_return co_await accept_on(tls, connection, options, std::move(handshake));
}

}  // namespace mlxs
