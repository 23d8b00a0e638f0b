// Deadlines cancel the socket's operations; the flag tells them from a cancellation by a client or
// a shutdown.
#include "server/http/connection.h"

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
#include <utility>

#include "server/http/task.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kMaxEarlyBytes = std::size_t{64}
                                       << 10;  // kept of a client that sends before it is answered
constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace

Connection::Connection(Tcp::socket socket)
    : socket_(std::move(socket)), deadline_(socket_.get_executor()), hold_(socket_.get_executor()) {
  boost::system::error_code ignored;  // a socket that is already dead shows at the first read
  (void)socket_.non_blocking(true, ignored);
  (void)socket_.set_option(Tcp::no_delay(true), ignored);
  hold_.expires_at(std::chrono::steady_clock::time_point::max());
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
    (void)self->socket_.cancel(ignored);
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
  const auto [ec, num_bytes] =
      co_await socket_.async_read_some(input_.prepare(kReadBytes), kAwaitTuple);
  disarm();
  if (!ec) {
    input_.commit(num_bytes);
    co_return ReadOutcome::data;
  }
  co_return timed_out_ ? ReadOutcome::timed_out : ReadOutcome::end;
}

Task<void> Connection::write(std::string_view bytes, std::chrono::milliseconds timeout) {
  while (!bytes.empty()) {
    arm(timeout);
    const auto [ec, num_bytes] =
        co_await socket_.async_write_some(asio::buffer(bytes), kAwaitTuple);
    disarm();
    if (ec) throw ConnectionLost();
    bytes.remove_prefix(num_bytes);
  }
}

Task<void> Connection::wait_for_hang_up() {
  while (socket_.is_open()) {
    if (input_.size() >= kMaxEarlyBytes) {
      co_await hold_.async_wait(kAwaitTuple);
      co_return;
    }
    const auto [wait_ec] = co_await socket_.async_wait(Tcp::socket::wait_read, kAwaitTuple);
    if (wait_ec) co_return;
    boost::system::error_code ec;
    const std::size_t num_bytes = socket_.read_some(input_.prepare(kReadBytes), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again ||
        ec == asio::error::interrupted)
      continue;
    if (ec) co_return;
    input_.commit(num_bytes);
  }
}

Task<void> Connection::linger(std::chrono::milliseconds timeout) {
  boost::system::error_code ignored;  // the client may be gone already
  (void)socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  arm(timeout);
  std::array<char, 4096> dropped{};
  while (socket_.is_open()) {
    const auto [ec, num_bytes] =
        co_await socket_.async_read_some(asio::buffer(dropped), kAwaitTuple);
    if (ec) break;
  }
  disarm();
  close();
}

void Connection::close() {
  boost::system::error_code ignored;  // nothing is left to do with a socket that cannot be closed
  (void)socket_.close(ignored);
  hold_.cancel();
  disarm();
}

void Connection::close_soon() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->close(); });
}

}  // namespace mlxs
