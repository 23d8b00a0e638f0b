// The order of the checks is the security policy: syntax and size, then Host and Origin, then the
// key, then the route, then the body. A handler runs next to a watch of the socket; a client that
// hangs up ends the handler.
#include "server/http/session.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <utility>

#include "mlx_serving/error.h"
#include "server/http/chunked_decoder.h"
#include "server/http/connection.h"
#include "server/http/dispatch.h"
#include "server/http/exchange.h"
#include "server/http/head_scan.h"
#include "server/http/http_exchange.h"
#include "server/http/message.h"
#include "server/http/request_head.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/server_options.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLingerTimeout{2000};
constexpr milliseconds kRefusedTimeout{2000};
constexpr std::size_t kMaxReservedBytes = std::size_t{1} << 20;  // of a body before it is there

milliseconds time_left(Clock::time_point deadline) {
  return std::max(
      milliseconds(1), std::chrono::duration_cast<milliseconds>(deadline - Clock::now())
  );
}

[[noreturn]] void too_large(std::size_t max_bytes) {
  throw HttpError(client_fault(
      413, "the body is larger than " + std::to_string(max_bytes) + " bytes", "request_too_large"
  ));
}

[[noreturn]] void too_slow(const char* part) {
  throw HttpError(client_fault(
      408, std::string("the ") + part + " of the request did not arrive in time", "request_timeout"
  ));
}

class Session {
 public:
  Session(HttpService& service, Connection& connection, Admission admission)
      : service_(service),
        options_(service.options),
        connection_(connection),
        admission_(admission) {}

  // RETURNS: whether the connection may serve another request.
  Task<KeepAlive> serve_one();

 private:
  Task<std::optional<std::size_t>> receive_head();
  Task<void> receive(HttpExchange& exchange, RequestHead& head);
  Task<void> receive_body(HttpExchange& exchange, const RequestHead& head);
  Task<void> receive_sized_body(std::size_t num_bytes, std::string& body);
  Task<void> receive_chunked_body(std::string& body);
  Task<void> read_body_bytes(Clock::time_point deadline);
  Task<void> answer(HttpExchange& exchange);
  Task<void> run_handler(HttpExchange& exchange);
  void route(HttpExchange& exchange, const RequestHead& head);
  void log(const Exchange& exchange, Clock::time_point start) const;

  HttpService& service_;
  const ServerOptions& options_;
  Connection& connection_;
  const Admission admission_;
  RouteMatch match_;
};

// RETURNS: the size of the head in the connection's input; nothing where the client left between
// requests.
Task<std::optional<std::size_t>> Session::receive_head() {
  const milliseconds header_timeout =
      admission_ == Admission::refuse ? kRefusedTimeout : options_.header_timeout;
  std::size_t num_scanned = 0;
  std::optional<Clock::time_point> deadline;
  while (true) {
    const std::string_view input = connection_.input();
    const HeadScan scan = scan_head(input.substr(0, options_.max_header_bytes), num_scanned);
    if (scan.state == HeadState::complete) co_return scan.num_bytes;
    if (scan.state == HeadState::malformed) {
      throw HttpError(client_fault(400, "malformed request: " + std::string(scan.problem)));
    }
    num_scanned = std::min(input.size(), options_.max_header_bytes);
    if (input.size() >= options_.max_header_bytes) {
      throw HttpError(client_fault(
          431,
          "the head of the request is larger than " + std::to_string(options_.max_header_bytes) +
              " bytes",
          "request_too_large"
      ));
    }
    if (!deadline && !input.empty()) deadline = Clock::now() + header_timeout;
    if (deadline && Clock::now() >= *deadline) too_slow("head");
    const milliseconds idle_timeout =
        admission_ == Admission::refuse ? kRefusedTimeout : options_.idle_timeout;
    const ReadOutcome outcome =
        co_await connection_.read_more(deadline ? time_left(*deadline) : idle_timeout);
    if (outcome == ReadOutcome::data) continue;
    if (connection_.input().empty()) co_return std::nullopt;
    if (outcome == ReadOutcome::timed_out) too_slow("head");
    throw HttpError(client_fault(400, "malformed request: it ends within its head"));
  }
}

Task<void> Session::read_body_bytes(Clock::time_point deadline) {
  if (Clock::now() >= deadline) too_slow("body");
  const ReadOutcome outcome =
      co_await connection_.read_more(std::min(options_.body_timeout, time_left(deadline)));
  if (outcome == ReadOutcome::timed_out) too_slow("body");
  if (outcome == ReadOutcome::end) throw ConnectionLost();
}

Task<void> Session::receive_sized_body(std::size_t num_bytes, std::string& body) {
  const Clock::time_point deadline = Clock::now() + options_.body_total_timeout;
  body.reserve(std::min(num_bytes, kMaxReservedBytes));
  while (true) {
    const std::string_view piece = connection_.input().substr(0, num_bytes - body.size());
    body.append(piece);
    connection_.consume(piece.size());
    if (body.size() == num_bytes) co_return;
    co_await read_body_bytes(deadline);
  }
}

Task<void> Session::receive_chunked_body(std::string& body) {
  const Clock::time_point deadline = Clock::now() + options_.body_total_timeout;
  ChunkedDecoder decoder(options_.max_body_bytes);
  while (true) {
    connection_.consume(decoder.decode(connection_.input(), body));
    if (decoder.is_done()) co_return;
    co_await read_body_bytes(deadline);
  }
}

Task<void> Session::receive_body(HttpExchange& exchange, const RequestHead& head) {
  if (!head.has_body()) co_return;
  if (head.content_length && *head.content_length > options_.max_body_bytes)
    too_large(options_.max_body_bytes);
  if (head.expects_continue && connection_.input().empty()) {
    const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await connection_.write(go_on, options_.write_timeout);
  }
  std::string& body = exchange.mutable_request().body;
  if (head.is_chunked) {
    co_await receive_chunked_body(body);
  } else {
    co_await receive_sized_body(static_cast<std::size_t>(head.content_length.value_or(0)), body);
  }
}

// ERRORS: HttpError for everything that decides against the request before its body is read.
void Session::route(HttpExchange& exchange, const RequestHead& head) {
  if (admission_ == Admission::refuse) {
    throw HttpError(fault_of(
        Error(ErrorCode::overloaded, "the server has too many open connections; try again later")
    ));
  }
  service_.access.check_origin(head);
  match_ = service_.router.match(head.method, head.path);
  if (match_.dialect != nullptr) exchange.set_dialect(*match_.dialect);
  const bool is_open =
      match_.route != nullptr && match_.route->policy.access() == RouteAccess::open;
  const bool is_page = head.origin && service_.access.allows_pages_of(*head.origin);
  if (is_page) exchange.allow_page(*head.origin);
  // A browser asks before it sends a key.
  const bool is_preflight = is_page && head.method == "OPTIONS";
  if (!is_open && !is_preflight) {
    const auto key = service_.access.check_key(head, exchange.dialect().key_field);
    HttpRequest& request = exchange.mutable_request();
    request.share = key ? key->name : service_.access.identity(head);
    if (key) {
      request.owner = key->name;
      request.max_open = key->max_open;
      request.weight = key->weight;
    }
  }
  if (head.method == "OPTIONS") return;
  if (match_.allow.empty()) {
    throw HttpError(client_fault(
        404, "there is no " + log_safe(head.method) + " " + log_safe(head.path) + " here"
    ));
  }
  if (match_.route == nullptr) {
    HttpFault fault = client_fault(
        405,
        log_safe(head.path) + " does not answer to " + log_safe(head.method) + "; it takes " +
            match_.allow
    );
    fault.headers.push_back({"Allow", match_.allow});
    throw HttpError(std::move(fault));
  }
  exchange.mutable_request().tail = percent_decode(match_.tail);
}

// Fills the exchange's request. ERRORS: HttpError; ConnectionLost where the client leaves within
// its body.
Task<void> Session::receive(HttpExchange& exchange, RequestHead& head) {
  route(exchange, head);
  co_await receive_body(exchange, head);
}

Task<void> Session::run_handler(HttpExchange& exchange) {
  const DispatchEnd end = co_await dispatch(service_, *match_.route, exchange);
  if (end == DispatchEnd::broken) exchange.close_after();
}

Task<void> Session::answer(HttpExchange& exchange) {
  using boost::asio::experimental::awaitable_operators::operator||;
  if (match_.route->policy.work() == RouteWork::upgrade) {
    exchange.close_after();
    co_await run_handler(exchange);
    co_return;
  }
  const ActiveCount active(service_.num_active);
  const auto first = co_await (run_handler(exchange) || connection_.wait_for_hang_up());
  const bool hung_up = first.index() == 1;
  if (hung_up) exchange.close_after();
}

Task<KeepAlive> Session::serve_one() {
  HttpExchange exchange(service_, connection_);
  exchange.mutable_request().id = service_.ids.next("req_");
  std::optional<HttpFault> fault;
  Clock::time_point start = Clock::now();
  try {
    const std::optional<std::size_t> head_bytes = co_await receive_head();
    if (!head_bytes) co_return KeepAlive::no;
    start = Clock::now();
    RequestHead head = parse_request_head(connection_.input().substr(0, *head_bytes));
    connection_.consume(*head_bytes);
    HttpRequest& request = exchange.mutable_request();
    if (head.request_id) request.id = *head.request_id;
    request.method = head.method;
    request.path = head.path;
    request.query = head.query;
    request.idempotency_key = head.idempotency_key.value_or("");
    request.traceparent = head.traceparent.value_or("");
    exchange.set_head(head);
    co_await receive(exchange, head);
  } catch (const HttpError& error) {
    fault = error.fault();
  }
  if (fault) {
    // what the client still sends of this request must not be read as the next one
    exchange.close_after();
    co_await exchange.respond(*fault);
  } else if (exchange.request().method == "OPTIONS") {
    HttpResponse response;
    response.status = 204;
    response.content_type.clear();
    response.headers.push_back(
        {"Allow", match_.allow.empty() ? "GET, HEAD, POST, OPTIONS" : match_.allow}
    );
    co_await exchange.respond(std::move(response));
  } else {
    co_await answer(exchange);
  }
  log(exchange, start);
  connection_.release_spare_memory();
  co_return exchange.keep_alive();
}

void Session::log(const Exchange& exchange, Clock::time_point start) const {
  note_request(service_, exchange, match_.route, Clock::now() - start);
}

}  // namespace

Task<void> run_session(
    HttpService& service, std::shared_ptr<Connection> connection, Admission admission
) {
  try {
    co_await connection->shake_hands(service.options.header_timeout);
    Session session(service, *connection, admission);
    while (co_await session.serve_one() == KeepAlive::yes) {
    }
    co_await connection->linger(kLingerTimeout);
  } catch (const ConnectionLost&) {
    service.logger->debug("a client left before its answer was complete");
  } catch (const std::exception& error) {
    service.logger->error("connection failed error=\"{}\"", log_safe(error.what()));
  }
  connection->close();
  service.connections.remove(connection.get());
}

}  // namespace mlxs
