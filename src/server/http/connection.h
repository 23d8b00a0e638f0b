// One accepted socket, plain or under TLS: reads and writes with time limits, and the watch for a
// client that hangs up. It knows no HTTP.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>

#include "server/http/stream_socket.h"
#include "server/http/task.h"

namespace mlxs {

// The client is gone, or did not take bytes in time.
class ConnectionLost : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "the connection is lost"; }
};

enum class ReadOutcome { data, end, timed_out };

// Thread safety: all members but close_soon() on the executor only. Invariant: at most one read or
// write at a time, next to at most one wait_for_hang_up().
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(StreamSocket stream);

  [[nodiscard]] Executor executor() { return socket().get_executor(); }

  // Does what TLS begins with, where it is under TLS. ERRORS: ConnectionLost.
  Task<void> shake_hands(std::chrono::milliseconds timeout);

  // Waits for more bytes and appends them to input(). ReadOutcome::end where the client has sent
  // all, or is gone.
  Task<ReadOutcome> read_more(std::chrono::milliseconds timeout);

  [[nodiscard]] std::string_view input() const;
  void consume(std::size_t num_bytes);
  void release_spare_memory() { input_.shrink_to_fit(); }

  // `timeout` bounds the time without progress. ERRORS: ConnectionLost.
  Task<void> write(std::string_view bytes, std::chrono::milliseconds timeout);

  // Returns once the client hangs up; what it sends meanwhile is kept for the next read, up to a
  // bound beyond which the socket is no longer watched.
  Task<void> wait_for_hang_up();

  // Tells the client that nothing more comes and drops what it still sends, so that the last answer
  // is not lost to a reset; closes after at most `timeout`.
  Task<void> linger(std::chrono::milliseconds timeout);

  // For a protocol that takes the connection over.
  [[nodiscard]] StreamSocket& stream() { return stream_; }

  void close();
  void close_soon();  // from any thread

  // Cancels what the socket waits for unless disarm() comes within `timeout`.
  void arm(std::chrono::milliseconds timeout);
  void disarm();

 private:
  [[nodiscard]] PlainSocket& socket();  // the socket itself, without TLS
  [[nodiscard]] std::size_t write_at_once(std::string_view bytes);  // RETURNS: bytes taken
  Task<void> watch();  // until bytes came. ERRORS: ConnectionLost.
  Task<void> watch_plain(PlainSocket& socket);
  Task<void> watch_tls(TlsSocket& stream);

  StreamSocket stream_;
  boost::beast::flat_buffer input_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer hold_;   // never expires; cancelled by close()
  std::uint64_t num_deadlines_ = 0;  // tells a stale expiry from the current one
  bool timed_out_ = false;
};

}  // namespace mlxs
