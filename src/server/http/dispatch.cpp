// A fault after the first byte cannot be told any more here: streams tell theirs themselves.
#include "server/http/dispatch.h"

#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "server/http/connection.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/open_counts.h"
#include "server/http/reply_memory.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/sha256.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxLoggedBody = std::size_t{16} << 10;

// Counts a request of a key for its scope. ERRORS: as OpenCounts::enter.
class OpenTurn {
 public:
  OpenTurn(OpenCounts& counts, const HttpRequest& request)
      : counts_(counts), owner_(request.owner) {
    counts_.enter(owner_, request.max_open);
  }
  ~OpenTurn() { counts_.leave(owner_); }
  OpenTurn(const OpenTurn&) = delete;
  OpenTurn& operator=(const OpenTurn&) = delete;

 private:
  OpenCounts& counts_;
  std::string owner_;
};

// A claim of an Idempotency-Key, which ends with its scope unless an answer was kept.
class ReplyClaim {
 public:
  ReplyClaim(ReplyMemory& memory, std::string name) : memory_(memory), name_(std::move(name)) {}
  ~ReplyClaim() {
    if (!is_kept_) memory_.forget(name_);
  }
  ReplyClaim(const ReplyClaim&) = delete;
  ReplyClaim& operator=(const ReplyClaim&) = delete;

  void keep(HttpResponse response) {
    is_kept_ = true;
    memory_.keep(name_, std::move(response));
  }

 private:
  ReplyMemory& memory_;
  std::string name_;
  bool is_kept_ = false;
};

Task<void> run_once(HttpService& service, const Route& route, Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  const std::string name = request.owner + "\n" + request.idempotency_key;
  const Sha256 digest = sha256(request.method + "\n" + request.path + "\n" + request.body);
  std::optional<HttpResponse> kept = service.replies.claim(name, digest);
  if (kept) {
    kept->headers.push_back({"Idempotent-Replayed", "true"});
    co_await exchange.respond(std::move(*kept));
    co_return;
  }
  ReplyClaim claim(service.replies, name);
  exchange.record(service.replies.limits().max_reply_bytes);
  co_await route.handler(exchange);
  std::optional<HttpResponse> answer = exchange.take_record();
  if (answer && answer->status == 200) claim.keep(std::move(*answer));
}

Task<void> run_handler(HttpService& service, const Route& route, Exchange& exchange) {
  if (route.policy.work() != RouteWork::generate) {
    co_await route.handler(exchange);
    co_return;
  }
  if (service.options.log_prompts) {
    const HttpRequest& request = exchange.request();
    service.logger->info(
        "body id={} body=\"{}\"", request.id, log_safe(request.body, kMaxLoggedBody)
    );
  }
  const OpenTurn turn(service.open_counts, exchange.request());
  if (exchange.request().idempotency_key.empty()) {
    co_await route.handler(exchange);
  } else {
    co_await run_once(service, route, exchange);
  }
}

}  // namespace

Task<DispatchEnd> dispatch(HttpService& service, const Route& route, Exchange& exchange) {
  std::optional<HttpFault> fault;
  try {
    co_await run_handler(service, route, exchange);
  } catch (const ConnectionLost&) {
    co_return DispatchEnd::broken;
  } catch (const HttpError& error) {
    fault = error.fault();
  } catch (const Error& error) {
    fault = fault_of(error);
  } catch (const boost::system::system_error&) {
    co_return DispatchEnd::broken;  // the handler was cancelled
  } catch (const std::exception& error) {
    service.logger->error(
        "request failed id={} error=\"{}\"", exchange.request().id, log_safe(error.what())
    );
    fault =
        fault_of(Error(ErrorCode::engine_error, "the server failed to answer; its log says why"));
  }
  if (!fault) co_return DispatchEnd::answered;
  if (exchange.has_started()) co_return DispatchEnd::broken;
  try {
    co_await exchange.respond(*fault);
  } catch (const std::exception&) {
    co_return DispatchEnd::broken;  // the client is gone: nobody is left to tell
  }
  co_return DispatchEnd::answered;
}

void note_request(
    const HttpService& service,
    const Exchange& exchange,
    const Route* route,
    std::chrono::nanoseconds elapsed
) {
  const HttpRequest& request = exchange.request();
  const std::vector<Route>& routes = service.router.routes();
  service.metrics.record(
      {.route = route == nullptr ? routes.size() : static_cast<std::size_t>(route - routes.data()),
       .status = exchange.status(),
       .request_bytes = request.body.size(),
       .duration = elapsed}
  );
  const auto level = exchange.status() >= 500 ? spdlog::level::warn : spdlog::level::info;
  service.logger->log(
      level,
      "request id={} method=\"{}\" path=\"{}\" status={} ms={:.1f}{}",
      request.id,
      log_safe(request.method),
      log_safe(request.path),
      exchange.status(),
      std::chrono::duration<double, std::milli>(elapsed).count(),
      exchange.notes()
  );
}

}  // namespace mlxs
