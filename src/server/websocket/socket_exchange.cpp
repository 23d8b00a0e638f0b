// Writers of handlers always hand over whole events, so a piece is whole messages.
#include "server/websocket/socket_exchange.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"
#include "server/websocket/message.h"

namespace mlxs {

namespace asio = boost::asio;

SocketWriter::SocketWriter(WebSocketChannel& channel, const Executor& executor)
    : channel_(channel), turn_(executor) {
  turn_.expires_at(std::chrono::steady_clock::time_point::max());
}

Task<void> SocketWriter::take_turn() {
  while (is_writing_) {
    co_await turn_.async_wait(asio::as_tuple(asio::use_awaitable));
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none) continue;
    // The wake may have been meant for this one: the next must not miss it.
    if (!is_writing_) turn_.cancel_one();
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  is_writing_ = true;
}

void SocketWriter::give_turn() {
  is_writing_ = false;
  turn_.cancel_one();
}

Task<void> SocketWriter::send(std::string message) {
  co_await take_turn();
  std::exception_ptr fault;
  try {
    co_await channel_.write(message);
  } catch (...) {
    fault = std::current_exception();
  }
  give_turn();
  if (fault) std::rethrow_exception(fault);
}

Task<void> SocketExchange::send_whole(HttpResponse response) {
  std::string message = whole_message(message_id_, response.status, response.body);
  co_await writer_.send(std::move(message));
}

Task<void> SocketExchange::send_stream_head(std::string_view content_type) {
  content_type_ = content_type;
  co_return;
}

Task<void> SocketExchange::send_piece(std::string_view bytes) {
  std::vector<std::string> messages = messages_of_piece(message_id_, content_type_, bytes);
  for (std::string& message : messages) co_await writer_.send(std::move(message));
}

Task<void> SocketExchange::send_stream_end(StreamEnd end) {
  std::string message = end_message(
      message_id_, end == StreamEnd::complete ? SocketStreamEnd::complete : SocketStreamEnd::broken
  );
  co_await writer_.send(std::move(message));
}

}  // namespace mlxs
