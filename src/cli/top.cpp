// `top`: a live view of a running server in the terminal, from its /metrics. It changes nothing.
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "base/thread_annotations.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/interrupts.h"
#include "cli/metrics_text.h"
#include "cli/top_frame.h"
#include "mlx_serving/error.h"
#include "server/http/http_client.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOk = 200;
constexpr const char* kMetricsPath = "/metrics?names=own";
// Home, and what was there before goes.
constexpr const char* kClear = "\x1b[H\x1b[2J";

class Ending {
 public:
  void end() {
    MutexLock lock(mutex_);
    is_over_ = true;
    changed_.notify_all();
  }
  // RETURNS: whether it ended within `time`.
  [[nodiscard]] bool wait_for(std::chrono::duration<double> time) {
    MutexLock lock(mutex_);
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    while (!is_over_) {
      if (changed_.wait_until(mutex_, deadline) == std::cv_status::timeout) break;
    }
    return is_over_;
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  bool is_over_ MLXS_GUARDED_BY(mutex_) = false;
};

class TopCommand final : public Command {
 public:
  explicit TopCommand(CLI::App& app) : Command(app) {
    app.add_option("--url", url_, "the server (default http://127.0.0.1:8080)")->type_name("URL");
    app.add_option("--interval", interval_, "seconds between two looks (default 1)")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 3600.0));
    app.add_flag("--once", is_once_, "look twice, print one picture and end");
    app.footer(
        "With API keys set, MLX_SERVING_API_KEY is the one to use.\n\n"
        "Examples:\n"
        "  mlx-serving top\n"
        "  mlx-serving top --url http://127.0.0.1:8000 --once\n"
    );
  }

  int run(CliContext& context) override {
    HttpCall call{.url = parse_http_url(url_)};
    call.url.path = kMetricsPath;
    const auto key = context.environment("MLX_SERVING_API_KEY");
    if (key && !key->empty()) call.headers.push_back({"Authorization", "Bearer " + *key});
    Ending ending;
    const auto listener = context.interrupts.listen([&ending](int) { ending.end(); });
    MetricsText before = look(call);
    Clock::time_point before_at = Clock::now();
    while (!ending.wait_for(std::chrono::duration<double>(interval_))) {
      MetricsText now = look(call);
      const Clock::time_point now_at = Clock::now();
      const double seconds = std::chrono::duration<double>(now_at - before_at).count();
      if (!is_once_) context.console.out << kClear;
      context.console.out << top_frame(before, now, seconds, url_) << std::flush;
      if (is_once_) return kExitOk;
      before = std::move(now);
      before_at = now_at;
    }
    return kExitOk;
  }

 private:
  static MetricsText look(const HttpCall& call) {
    const HttpAnswer answer = http_call(call);
    if (answer.status != kOk)
      throw Error(
          ErrorCode::io_error,
          call.url.host + ":" + call.url.port + " answers " + std::to_string(answer.status) +
              " to GET /metrics; is it mlx-serving, and is MLX_SERVING_API_KEY set where it asks "
              "for keys?"
      );
    return MetricsText(answer.body);
  }

  std::string url_ = "http://127.0.0.1:8080";
  double interval_ = 1.0;
  bool is_once_ = false;
};

}  // namespace

std::unique_ptr<Command> make_top_command(CLI::App& parent) {
  return std::make_unique<TopCommand>(
      *parent.add_subcommand("top", "a live view of a running server")
  );
}

}  // namespace mlxs
