// The profile ends with the handler, also where the client hangs up.
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <chrono>
#include <string>
#include <utility>

#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/exchange.h"
#include "server/http/message.h"
#include "server/http/query.h"
#include "server/http/task.h"
#include "server/monitoring/routes.h"
#include "telemetry/collector.h"
#include "telemetry/profiler.h"

namespace mlxs {
namespace {

constexpr double kMinSeconds = 0.1;
constexpr double kMaxSeconds = 60.0;

std::chrono::duration<double> seconds_of(const HttpRequest& request) {
  const std::string text = query_value(request.query, "seconds").value_or("1");
  double seconds = 0.0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_number = fault == std::errc() && end == text.data() + text.size();
  if (is_number && seconds >= kMinSeconds && seconds <= kMaxSeconds)
    return std::chrono::duration<double>(seconds);
  HttpFault refusal = client_fault(400, "seconds must be a number from 0.1 to 60", "invalid_value");
  refusal.param = "seconds";
  throw HttpError(std::move(refusal));
}

class ProfileTurn {
 public:
  explicit ProfileTurn(Profiler& profiler) : profiler_(profiler) {
    if (!profiler_.start())
      throw HttpError(client_fault(409, "a profile is being taken already", "conflict"));
  }
  ~ProfileTurn() {
    if (is_taken_) (void)profiler_.stop();
  }
  ProfileTurn(const ProfileTurn&) = delete;
  ProfileTurn& operator=(const ProfileTurn&) = delete;

  [[nodiscard]] std::string stop() {
    is_taken_ = false;
    return profiler_.stop();
  }

 private:
  Profiler& profiler_;
  bool is_taken_ = true;
};

}  // namespace

Task<void> handle_profile(const ApiContext& context, Exchange& exchange) {
  const auto seconds = seconds_of(exchange.request());
  ProfileTurn turn(context.engine.collector().profiler());
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  timer.expires_after(std::chrono::ceil<std::chrono::milliseconds>(seconds));
  co_await timer.async_wait(boost::asio::use_awaitable);
  HttpResponse response;
  response.body = turn.stop();
  response.headers.push_back({"Content-Disposition", "attachment; filename=profile.json"});
  co_await exchange.respond(std::move(response));
}

}  // namespace mlxs
