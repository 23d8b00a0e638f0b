// What all kinds of exchange have in common.
#include "server/http/exchange.h"

#include <spdlog/fmt/fmt.h>

#include <cstddef>
#include <memory>
#include <optional>
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

void Exchange::record(std::size_t max_bytes) {
  max_record_bytes_ = max_bytes;
  record_.emplace();
}

std::optional<HttpResponse> Exchange::take_record() {
  if (!is_record_complete_) return std::nullopt;
  return std::move(record_);
}

Task<void> Exchange::respond(HttpResponse response) {
  status_ = response.status;
  if (record_) {
    is_record_complete_ = response.body.size() <= max_record_bytes_;
    if (is_record_complete_) record_ = response;
  }
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
  if (record_) record_->content_type = content_type;
  co_await send_stream_head(content_type);
}

Task<void> Exchange::write(std::string_view bytes) {
  if (bytes.empty()) co_return;  // an empty piece would end the stream
  if (record_) record_->body += bytes;
  if (record_ && record_->body.size() > max_record_bytes_) record_.reset();
  co_await send_piece(bytes);
}

// No path has anything but the one WebSocket that leads to it.
Task<std::unique_ptr<WebSocketChannel>> Exchange::accept_web_socket() {
  HttpFault fault = client_fault(426, "this path speaks WebSocket only", "upgrade_required");
  fault.headers.push_back({"Upgrade", "websocket"});
  throw HttpError(std::move(fault));
  co_return nullptr;
}

Task<void> Exchange::end_stream(StreamEnd end) {
  is_record_complete_ = record_.has_value() && end == StreamEnd::complete;
  co_await send_stream_end(end);
}

}  // namespace mlxs
