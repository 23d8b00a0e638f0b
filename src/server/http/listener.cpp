// Beyond max_connections a few sessions are started only to say 503; beyond those, clients wait in
// the backlog.
#include "server/http/listener.h"

#include <spdlog/fmt/fmt.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "mlx_serving/error.h"
#include "server/http/access_policy.h"
#include "server/http/connection.h"
#include "server/http/service.h"
#include "server/http/session.h"
#include "server/http/stream_socket.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr std::size_t kMaxRefusals = 64;
constexpr std::chrono::milliseconds kPause{20};
constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

Tcp::endpoint resolve(asio::io_context& io, const std::string& host, std::uint16_t port) {
  boost::system::error_code ec;
  Tcp::resolver resolver(io);
  const auto results = resolver.resolve(
      host, std::to_string(port), Tcp::resolver::passive | Tcp::resolver::numeric_service, ec
  );
  if (ec || results.empty()) {
    throw Error(
        ErrorCode::io_error,
        fmt::format(
            "the address \"{}\" is unknown ({}); give an IP address or a name of this machine",
            host,
            ec.message()
        )
    );
  }
  return results.begin()->endpoint();
}

std::string bind_problem(const Tcp::endpoint& endpoint, const boost::system::error_code& ec) {
  const std::string address = endpoint.address().to_string();
  if (ec == asio::error::address_in_use) {
    return fmt::format(
        "port {} on {} is in use by another program; choose another, or 0 for a free one",
        endpoint.port(),
        address
    );
  }
  return fmt::format(
      "cannot listen on port {} of {}: {}; choose another address or port",
      endpoint.port(),
      address,
      ec.message()
  );
}

void bind(Tcp::acceptor& acceptor, const Tcp::endpoint& endpoint) {
  boost::system::error_code ec;
  (void)acceptor.open(endpoint.protocol(), ec);
  if (!ec) (void)acceptor.set_option(Tcp::acceptor::reuse_address(true), ec);
  if (!ec) (void)acceptor.bind(endpoint, ec);
  if (!ec) (void)acceptor.listen(Tcp::acceptor::max_listen_connections, ec);
  if (ec) throw Error(ErrorCode::io_error, bind_problem(endpoint, ec));
}

}  // namespace

Listener::Listener(asio::io_context& io, HttpService& service)
    : io_(io),
      service_(service),
      acceptor_(asio::make_strand(io)),
      pause_(acceptor_.get_executor()) {
  bind(acceptor_, resolve(io, service.options.host, service.options.port));
  endpoint_ = acceptor_.local_endpoint();
}

std::string Listener::url() const {
  const auto address = endpoint_.address();
  const std::string text = address.to_string();
  const char* const scheme = service_.tls ? "https" : "http";
  return address.is_v6() ? fmt::format("{}://[{}]:{}", scheme, text, port())
                         : fmt::format("{}://{}:{}", scheme, text, port());
}

Exposure Listener::exposure() const {
  return endpoint_.address().is_loopback() ? Exposure::loopback : Exposure::network;
}

void Listener::start() { asio::co_spawn(acceptor_.get_executor(), accept_loop(), asio::detached); }

void Listener::close() {
  asio::post(acceptor_.get_executor(), [this] {
    boost::system::error_code ignored;  // the descriptor is given up either way
    (void)acceptor_.close(ignored);
    pause_.cancel();
  });
}

Task<void> Listener::accept_loop() {
  const auto max_connections = static_cast<std::size_t>(service_.options.max_connections);
  while (acceptor_.is_open()) {
    if (service_.connections.size() >= max_connections + kMaxRefusals) {
      pause_.expires_after(kPause);
      co_await pause_.async_wait(kAwaitTuple);
      continue;
    }
    auto [ec, socket] =
        co_await acceptor_.async_accept(Executor(asio::make_strand(io_)), kAwaitTuple);
    if (ec == asio::error::operation_aborted) continue;
    if (ec) {
      // Mostly too many open files: connections that end free some.
      service_.logger->warn("accept failed error=\"{}\"", log_safe(ec.message()));
      pause_.expires_after(kPause);
      co_await pause_.async_wait(kAwaitTuple);
      continue;
    }
    const Admission admission =
        service_.connections.size() >= max_connections ? Admission::refuse : Admission::serve;
    auto connection = std::make_shared<Connection>(
        service_.tls ? StreamSocket(TlsSocket(std::move(socket), *service_.tls))
                     : StreamSocket(std::move(socket))
    );
    if (!service_.connections.add(connection)) continue;
    const Executor executor = connection->executor();
    asio::co_spawn(
        executor, run_session(service_, std::move(connection), admission), asio::detached
    );
  }
}

}  // namespace mlxs
