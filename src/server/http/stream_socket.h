// A socket, plain or under TLS.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <variant>

namespace mlxs {

using PlainSocket = boost::asio::ip::tcp::socket;
using TlsSocket = boost::asio::ssl::stream<PlainSocket>;
using StreamSocket = std::variant<PlainSocket, TlsSocket>;

}  // namespace mlxs
