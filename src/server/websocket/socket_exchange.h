// An exchange within a WebSocket: it writes the messages of one request's answer.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <string>
#include <string_view>

#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"

namespace mlxs {

// The requests of one socket write in turns. Thread safety: on the connection's executor only.
class SocketWriter {
 public:
  // REQUIRES: the channel outlives it.
  SocketWriter(WebSocketChannel& channel, const Executor& executor);

  // Sends one message after those that were sent before. ERRORS: ConnectionLost;
  // boost::system::system_error where the coroutine is cancelled.
  Task<void> send(std::string message);

 private:
  Task<void> take_turn();
  void give_turn();

  WebSocketChannel& channel_;
  boost::asio::steady_timer turn_;  // never expires; cancelled to wake the one that waits longest
  bool is_writing_ = false;
};

class SocketExchange final : public Exchange {
 public:
  // REQUIRES: service and writer outlive it.
  SocketExchange(HttpService& service, SocketWriter& writer, std::string message_id)
      : Exchange(service), writer_(writer), message_id_(std::move(message_id)) {}

 private:
  Task<void> send_whole(HttpResponse response) override;
  Task<void> send_stream_head(std::string_view content_type) override;
  Task<void> send_piece(std::string_view bytes) override;
  Task<void> send_stream_end(StreamEnd end) override;

  SocketWriter& writer_;
  std::string message_id_;
  std::string content_type_;  // of the stream
};

}  // namespace mlxs
