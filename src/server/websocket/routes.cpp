// The handshake has passed the checks of Host, Origin and key; the requests within it are the same
// client's. A request that runs owns the session, so that it may end after the reader did.
#include "server/websocket/routes.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/connection.h"
#include "server/http/dispatch.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/http/web_socket_channel.h"
#include "server/websocket/message.h"
#include "server/websocket/socket_exchange.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

class SocketSession : public std::enable_shared_from_this<SocketSession> {
 public:
  SocketSession(HttpService& service, std::unique_ptr<WebSocketChannel> channel, Executor executor)
      : service_(service),
        channel_(std::move(channel)),
        executor_(std::move(executor)),
        writer_(*channel_, executor_) {}

  // `caller` is the handshake, whose key the requests have.
  Task<void> run(const HttpRequest& caller);

 private:
  struct Open {
    asio::cancellation_signal signal;
  };

  void take(const SocketMessage& message);
  void start(SocketMessage message);
  void cancel_all();
  Task<void> serve(SocketMessage message);
  Task<void> refuse(HttpFault fault, std::string id);
  void set_request(const SocketMessage& message, Exchange& exchange) const;
  [[nodiscard]] const Route& route_of(const SocketMessage& message, Exchange& exchange) const;

  HttpService& service_;
  std::unique_ptr<WebSocketChannel> channel_;
  Executor executor_;
  SocketWriter writer_;
  HttpRequest caller_;
  std::unordered_map<std::string, std::unique_ptr<Open>> open_;
};

// ERRORS: HttpError for a path that is not there.
const Route& SocketSession::route_of(const SocketMessage& message, Exchange& exchange) const {
  const RouteMatch match = service_.router.match(message.method, message.path);
  if (match.dialect != nullptr) exchange.set_dialect(*match.dialect);
  if (match.route == nullptr || match.route->policy.work() == RouteWork::upgrade) {
    const int status = match.allow.empty() ? 404 : 405;
    throw HttpError(client_fault(
        status, "there is no " + message.method + " " + log_safe(message.path) + " here"
    ));
  }
  exchange.mutable_request().tail = percent_decode(match.tail);
  return *match.route;
}

void SocketSession::set_request(const SocketMessage& message, Exchange& exchange) const {
  HttpRequest& request = exchange.mutable_request();
  request.id = service_.ids.next("req_");
  request.method = message.method;
  request.path = message.path;
  request.query = message.query;
  request.body = message.body;
  request.owner = caller_.owner;
  request.share = caller_.share;
  request.max_open = caller_.max_open;
  request.weight = caller_.weight;
}

Task<void> SocketSession::serve(SocketMessage message) {
  const ActiveCount active(service_.num_active);
  const Clock::time_point start = Clock::now();
  SocketExchange exchange(service_, writer_, message.id);
  set_request(message, exchange);
  std::optional<HttpFault> fault;
  const Route* route = nullptr;
  try {
    route = &route_of(message, exchange);
  } catch (const HttpError& error) {
    fault = error.fault();
  }
  if (fault) {
    co_await exchange.respond(*fault);
  } else {
    const DispatchEnd end = co_await dispatch(service_, *route, exchange);
    if (end == DispatchEnd::broken) {
      // Cancelled, or half told: the client hears that nothing more comes.
      co_await asio::this_coro::reset_cancellation_state();
      co_await writer_.send(end_message(message.id, SocketStreamEnd::broken));
    }
  }
  note_request(service_, exchange, route, Clock::now() - start);
}

// Faults of a message that is no request have the server's own form.
Task<void> SocketSession::refuse(HttpFault fault, std::string id) {
  SocketExchange exchange(service_, writer_, std::move(id));
  exchange.mutable_request().id = service_.ids.next("req_");
  co_await exchange.respond(fault);
}

void SocketSession::start(SocketMessage message) {
  const std::string id = message.id;
  auto open = std::make_unique<Open>();
  const auto slot = open->signal.slot();
  open_.emplace(id, std::move(open));
  auto work = [self = shared_from_this(), message = std::move(message)]() mutable {
    return self->serve(std::move(message));
  };
  const auto done = [self = shared_from_this(), id](const std::exception_ptr&) {
    self->open_.erase(id);  // what it threw is that the client is gone
  };
  asio::co_spawn(executor_, std::move(work), asio::bind_cancellation_slot(slot, done));
}

// ERRORS: HttpError for a request that cannot start.
void SocketSession::take(const SocketMessage& message) {
  const auto found = open_.find(message.id);
  if (message.is_cancel) {
    // Nothing is there to cancel where the answer and the cancellation crossed on their way.
    if (found != open_.end()) found->second->signal.emit(asio::cancellation_type::terminal);
    return;
  }
  if (found != open_.end())
    throw HttpError(client_fault(400, "a request with this id is still open", "duplicate_id"));
  const auto max_open = static_cast<std::size_t>(service_.options.max_socket_requests);
  if (open_.size() >= max_open) {
    throw HttpError(fault_of(Error(
        ErrorCode::rate_limit_exceeded,
        "this socket has " + std::to_string(max_open) + " open requests already; wait for one"
    )));
  }
  start(message);
}

void SocketSession::cancel_all() {
  for (const auto& entry : open_) entry.second->signal.emit(asio::cancellation_type::terminal);
}

Task<void> SocketSession::run(const HttpRequest& caller) {
  caller_ = caller;
  while (true) {
    const std::optional<WebSocketChannel::Message> received = co_await channel_->read();
    if (!received) break;
    std::optional<HttpFault> fault;
    SocketMessage message;
    try {
      if (!received->is_text)
        throw HttpError(client_fault(400, "messages are JSON in text frames, not binary ones"));
      message = parse_socket_message(received->bytes);
      take(message);
    } catch (const HttpError& error) {
      fault = error.fault();
    } catch (const Error& error) {
      fault = fault_of(error);
    }
    if (fault) co_await refuse(std::move(*fault), message.id);
  }
  cancel_all();
}

}  // namespace

Task<void> handle_web_socket(const ApiContext& context, Exchange& exchange) {
  std::unique_ptr<WebSocketChannel> channel = co_await exchange.accept_web_socket();
  Executor executor = co_await asio::this_coro::executor;
  const auto session =
      std::make_shared<SocketSession>(context.service, std::move(channel), std::move(executor));
  co_await session->run(exchange.request());
}

}  // namespace mlxs
