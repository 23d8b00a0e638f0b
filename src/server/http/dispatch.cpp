// A fault after the first byte cannot be told any more here: streams tell theirs themselves.
#include "server/http/dispatch.h"

#include <boost/system/system_error.hpp>
#include <exception>
#include <optional>

#include "mlx_serving/error.h"
#include "server/http/connection.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/router.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

Task<DispatchEnd> dispatch(HttpService& service, const Route& route, Exchange& exchange) {
  std::optional<HttpFault> fault;
  try {
    co_await route.handler(exchange);
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

void log_request(const HttpService& service, const Exchange& exchange, double elapsed_ms) {
  const HttpRequest& request = exchange.request();
  const auto level = exchange.status() >= 500 ? spdlog::level::warn : spdlog::level::info;
  service.logger->log(
      level,
      "request id={} method=\"{}\" path=\"{}\" status={} ms={:.1f}{}",
      request.id,
      log_safe(request.method),
      log_safe(request.path),
      exchange.status(),
      elapsed_ms,
      exchange.notes()
  );
}

}  // namespace mlxs
