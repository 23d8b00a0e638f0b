// Deadlines cancel the socket's operations; the flag tells them from a cancellation by a client or
// a shutdown.
#include "server/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include "server/http/stream_socket.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxEarlyBytes = std::size_t{64}
                                       << 10;  // kept of a client that sends before it is answered
constexpr int kMaxUnsentBytes = 64 << 10;
constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

using SomeBytes = Task<std::tuple<boost::system::error_code, std::size_t>>;

SomeBytes read_some(StreamSocket& stream, asio::mutable_buffer buffer) {
  return std::visit(
      [&](auto& socket) { return socket.async_read_some(buffer, kAwaitTuple); }, stream
  );
}

SomeBytes write_some(StreamSocket& stream, asio::const_buffer buffer) {
  return std::visit(
      [&](auto& socket) { return socket.async_write_some(buffer, kAwaitTuple); }, stream
  );
}

// What the kernel holds of bytes that a client does not take is bounded, and the rest waits in the
// engine, where deltas merge.
void bound_unsent_bytes(PlainSocket& socket) {
#ifdef TCP_NOTSENT_LOWAT
  using NotSentLowat = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_NOTSENT_LOWAT>;
  boost::system::error_code ignored;  // a socket that is already dead shows at the first read
  (void)socket.set_option(NotSentLowat(kMaxUnsentBytes), ignored);
#else
  static_cast<void>(socket);
#endif
}

// Closing then resets the connection: else the kernel would keep the bytes for a client that does
// not read for as long as that one lives.
void drop_unsent_bytes(PlainSocket& socket) {
  boost::system::error_code ignored;  // the client is given up either way
  (void)socket.set_option(asio::socket_base::linger(true, 0), ignored);
}

}  // namespace

Connection::Connection(StreamSocket stream)
    : stream_(std::move(stream)),
      deadline_(socket().get_executor()),
      hold_(socket().get_executor()) {
  boost::system::error_code ignored;  // a socket that is already dead shows at the first read
  (void)socket().non_blocking(true, ignored);
  (void)socket().set_option(Tcp::no_delay(true), ignored);
  bound_unsent_bytes(socket());
  hold_.expires_at(std::chrono::steady_clock::time_point::max());
}

PlainSocket& Connection::socket() {
  if (auto* plain = std::get_if<PlainSocket>(&stream_)) return *plain;
  return std::get<TlsSocket>(stream_).next_layer();
}

Task<void> Connection::shake_hands(std::chrono::milliseconds timeout) {
  auto* tls = std::get_if<TlsSocket>(&stream_);
  if (tls == nullptr) co_return;
  arm(timeout);
  const auto [ec] = co_await tls->async_handshake(asio::ssl::stream_base::server, kAwaitTuple);
  disarm();
  if (ec) throw ConnectionLost();
}

void Connection::arm(std::chrono::milliseconds timeout) {
  timed_out_ = false;
  const std::uint64_t id = ++num_deadlines_;
  deadline_.expires_after(timeout);
  deadline_.async_wait([weak = weak_from_this(), id](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self || self->num_deadlines_ != id) return;
    self->timed_out_ = true;
    boost::system::error_code ignored;
    (void)self->socket().cancel(ignored);
  });
}

void Connection::disarm() {
  ++num_deadlines_;
  deadline_.cancel();
}

std::string_view Connection::input() const {
  const auto bytes = input_.data();
  return {static_cast<const char*>(bytes.data()), bytes.size()};
}

void Connection::consume(std::size_t num_bytes) { input_.consume(num_bytes); }

Task<ReadOutcome> Connection::read_more(std::chrono::milliseconds timeout) {
  arm(timeout);
  const auto [ec, num_bytes] = co_await read_some(stream_, input_.prepare(kReadBytes));
  disarm();
  if (!ec) {
    input_.commit(num_bytes);
    co_return ReadOutcome::data;
  }
  co_return timed_out_ ? ReadOutcome::timed_out : ReadOutcome::end;
}

// Mostly the socket has room, and then neither a timer nor the reactor is needed.
std::size_t Connection::write_at_once(std::string_view bytes) {
  auto* plain = std::get_if<PlainSocket>(&stream_);
  if (plain == nullptr) return 0;
  boost::system::error_code ec;  // what it means shows at the write that waits
  return plain->write_some(asio::buffer(bytes), ec);
}

Task<void> Connection::write(std::string_view bytes, std::chrono::milliseconds timeout) {
  bytes.remove_prefix(write_at_once(bytes));
  while (!bytes.empty()) {
    arm(timeout);
    const auto [ec, num_bytes] = co_await write_some(stream_, asio::buffer(bytes));
    disarm();
    if (ec && timed_out_) drop_unsent_bytes(socket());
    if (ec) throw ConnectionLost();
    bytes.remove_prefix(num_bytes);
  }
}

Task<void> Connection::watch_plain(PlainSocket& socket) {
  const auto [wait_ec] = co_await socket.async_wait(Tcp::socket::wait_read, kAwaitTuple);
  if (wait_ec) throw ConnectionLost();
  boost::system::error_code ec;
  const std::size_t num_bytes = socket.read_some(input_.prepare(kReadBytes), ec);
  if (ec == asio::error::would_block || ec == asio::error::try_again ||
      ec == asio::error::interrupted)
    co_return;
  if (ec) throw ConnectionLost();
  input_.commit(num_bytes);
}

// TLS hides whether bytes that arrive are the client's, so they are read at once.
Task<void> Connection::watch_tls(TlsSocket& stream) {
  const auto [ec, num_bytes] =
      co_await stream.async_read_some(input_.prepare(kReadBytes), kAwaitTuple);
  input_.commit(num_bytes);
  if (ec) throw ConnectionLost();
}

Task<void> Connection::watch() {
  if (auto* plain = std::get_if<PlainSocket>(&stream_)) {
    co_await watch_plain(*plain);
  } else {
    co_await watch_tls(std::get<TlsSocket>(stream_));
  }
}

Task<void> Connection::wait_for_hang_up() {
  try {
    while (socket().is_open() && input_.size() < kMaxEarlyBytes) co_await watch();
  } catch (const ConnectionLost&) {
    co_return;
  }
  if (socket().is_open()) co_await hold_.async_wait(kAwaitTuple);
}

Task<void> Connection::linger(std::chrono::milliseconds timeout) {
  arm(timeout);
  if (auto* tls = std::get_if<TlsSocket>(&stream_)) {
    const auto [ec] = co_await tls->async_shutdown(kAwaitTuple);
    static_cast<void>(ec);  // the client may be gone already
  }
  boost::system::error_code ignored;  // as above
  (void)socket().shutdown(Tcp::socket::shutdown_send, ignored);
  std::array<char, 4096> dropped{};
  while (socket().is_open() && !timed_out_) {
    const auto [ec, num_bytes] =
        co_await socket().async_read_some(asio::buffer(dropped), kAwaitTuple);
    if (ec) break;
  }
  disarm();
  close();
}

void Connection::close() {
  boost::system::error_code ignored;  // nothing is left to do with a socket that cannot be closed
  (void)socket().close(ignored);
  hold_.cancel();
  disarm();
}

void Connection::close_soon() {
  asio::post(executor(), [self = shared_from_this()] { self->close(); });
}

}  // namespace mlxs
