// What all kinds of exchange have in common.
#include "server/http/exchange.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/message.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"

namespace mlxs {

void Exchange::note(std::string_view key, std::size_t value) {
  notes_ += fmt::format(" {}={}", key, value);
}

Task<void> Exchange::respond(HttpResponse response) {
  status_ = response.status;
  if (!dialect_->id_header.empty())
    response.headers.push_back({std::string(dialect_->id_header), request_.id});
  co_await send_whole(std::move(response));
}

Task<void> Exchange::respond(const HttpFault& fault) {
  HttpResponse response;
  response.status = fault.status;
  response.body = dialect_->render_fault(fault, request_.id);
  response.headers = fault.headers;
  co_await respond(std::move(response));
}

Task<void> Exchange::begin_stream(std::string_view content_type) {
  status_ = 200;
  co_await send_stream_head(content_type);
}

Task<void> Exchange::write(std::string_view bytes) {
  if (bytes.empty()) co_return;  // an empty piece would end the stream
  co_await send_piece(bytes);
}

// No path has anything but the one WebSocket that leads to it.
Task<std::unique_ptr<WebSocketChannel>> Exchange::accept_web_socket() {
  HttpFault fault = client_fault(426, "this path speaks WebSocket only", "upgrade_required");
  fault.headers.push_back({"Upgrade", "websocket"});
  throw HttpError(std::move(fault));
  co_return nullptr;
}

Task<void> Exchange::end_stream(StreamEnd end) { co_await send_stream_end(end); }

}  // namespace mlxs
