// Accepts connections and starts a session for each. It does not read from them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <string>

#include "server/http/access_policy.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

class Listener {
 public:
  // Binds and listens. REQUIRES: `io` and `service` outlive it.
  // ERRORS: Error(io_error) for an address that is unknown, taken or not permitted.
  Listener(boost::asio::io_context& io, HttpService& service);

  [[nodiscard]] std::uint16_t port() const { return endpoint_.port(); }
  [[nodiscard]] std::string url() const;
  [[nodiscard]] Exposure exposure() const;

  void start();  // begins to accept
  void close();  // from any thread
 private:
  Task<void> accept_loop();

  boost::asio::io_context& io_;
  HttpService& service_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
  boost::asio::ip::tcp::endpoint endpoint_;
};

}  // namespace mlxs
