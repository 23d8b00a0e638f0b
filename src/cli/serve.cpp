// `serve`: opens a model and answers HTTP until a signal comes. What is answered is the server's
// business.
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/settings.h"
#include "base/thread_annotations.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/further_models.h"
#include "cli/interrupts.h"
#include "cli/setting_flags.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/server.h"
#include "server/server_options.h"
#include "telemetry/collector.h"

namespace mlxs {
namespace {

// Whether the server may go on; the second signal does not wait for it. Before it answers there is
// nothing to drain, so a signal ends the process at once.
class StopSignal {
 public:
  void on_signal(int signal) {
    MutexLock lock(mutex_);
    if (!is_serving_) std::_Exit(kExitOk);
    if (is_stopped_) Interrupts::end_process(signal);
    is_stopped_ = true;
    stopped_.notify_one();
  }

  // From here on a signal is kept for wait().
  void start_serving() {
    MutexLock lock(mutex_);
    is_serving_ = true;
  }

  void wait() {
    MutexLock lock(mutex_);
    while (!is_stopped_) stopped_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  ConditionVariable stopped_;
  bool is_serving_ MLXS_GUARDED_BY(mutex_) = false;
  bool is_stopped_ MLXS_GUARDED_BY(mutex_) = false;
};

// A profile of everything within its scope; an empty path: none.
class ProfileFile {
 public:
  // ERRORS: io_error for a file that cannot be written.
  ProfileFile(Engine& engine, const std::string& path) : engine_(engine) {
    if (path.empty()) return;
    file_.open(path, std::ios::binary);
    if (!file_) throw Error(ErrorCode::io_error, "the profile \"" + path + "\" cannot be written");
    is_taken_ = engine_.collector().profiler().start();
  }
  ~ProfileFile() {
    if (is_taken_) file_ << engine_.collector().profiler().stop();
  }
  ProfileFile(const ProfileFile&) = delete;
  ProfileFile& operator=(const ProfileFile&) = delete;

 private:
  Engine& engine_;
  std::ofstream file_;
  bool is_taken_ = false;
};

class ServeCommand final : public Command {
 public:
  explicit ServeCommand(CLI::App& app) : Command(app), flags_(app, kServeCommand) {
    add_model_argument(app, model_);
    app.footer(
        "Prints one line `ready http://HOST:PORT` when it answers. SIGTERM or Ctrl-C lets running "
        "requests finish\n"
        "and ends it; a second one ends it at once.\n\n"
        "Examples:\n"
        "  mlx-serving serve --port 0\n"
        "  mlx-serving serve ~/models/Llama-3.2-1B-Instruct --context-length 8192\n"
        "  MLX_SERVING_API_KEY=... mlx-serving serve --host 0.0.0.0\n"
    );
  }

  int run(CliContext& context) override {
    const Settings settings = flags_.resolve(context.environment);
    start_log(settings, context);
    StopSignal stop;
    const auto listener =
        context.interrupts.listen([&stop](int signal) { stop.on_signal(signal); });
    const auto engine =
        open_with_progress(engine_config(settings, model_, context.environment), context);
    const ProfileFile profile(*engine, settings.find_text("profile").value_or(""));
    ServerOptions options = server_options(settings);
    options.models = further_models(settings, context);
    Server server(*engine, std::move(options));
    stop.start_serving();
    server.start();
    context.console.out << "ready " << server.url() << '\n' << std::flush;
    stop.wait();

    const std::chrono::duration<double> timeout(settings.real("drain_timeout"));
    const int num_cut = server.drain(std::chrono::ceil<std::chrono::milliseconds>(timeout));
    if (num_cut > 0) log_warning("{} requests were cut off after the drain timeout", num_cut);
    server.stop();
    return kExitOk;
  }

 private:
  SettingFlags flags_;
  std::string model_;
};

}  // namespace

std::unique_ptr<Command> make_serve_command(CLI::App& parent) {
  return std::make_unique<ServeCommand>(*parent.add_subcommand("serve", "answer OpenAI's HTTP API")
  );
}

}  // namespace mlxs
