// null_server [--sequences N] [--queue N] [--step-us U] [--threads N] [--connections N] [--port P]
//             [--write-timeout S]: the HTTP server on an engine whose model emits at once, or every
// U microseconds, and computes nothing: what remains is the cost of the doors. Prints
// `ready URL PID`, then serves until standard input ends.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/engine_parts.h"
#include "engine/runner.h"
#include "engine/testing/fake_engine.h"
#include "engine/text_model.h"
#include "mlx_serving/engine.h"
#include "server/server.h"
#include "server/server_options.h"
#include "text/chat_template.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPageSize = 32;
constexpr int kContextLength = 1 << 16;

struct NullServerOptions {
  int num_sequences = 1024;
  int num_queue = 4096;
  std::chrono::microseconds step_time{0};
  int num_threads = 1;
  int num_connections = 8192;
  std::uint16_t port = 0;
  std::chrono::seconds write_timeout{30};
};

// Done once its time has come; a step that comes late does not delay the next one.
class TimedSubmission final : public Submission {
 public:
  TimedSubmission(const Batch& batch, Clock::time_point due) : due_(due) {
    result_.tokens.assign(batch.samples.size(), {.id = 'a'});
  }
  bool wait_for(std::chrono::nanoseconds timeout) override {
    const Clock::time_point limit = Clock::now() + timeout;
    std::this_thread::sleep_until(std::min(due_, limit));
    return due_ <= limit;
  }
  StepResult take() override { return std::move(result_); }

 private:
  Clock::time_point due_;
  StepResult result_;
};

class NullRunner final : public Runner {
 public:
  explicit NullRunner(std::chrono::microseconds step_time) : step_time_(step_time) {}
  std::unique_ptr<Submission> submit(const Batch& batch) override {
    const Clock::time_point now = Clock::now();
    due_ = step_time_.count() == 0 ? now : std::max(now, due_ + step_time_);
    return std::make_unique<TimedSubmission>(batch, due_);
  }
  std::vector<std::byte> read_page(int /*group*/, std::int32_t /*page*/) override { return {}; }
  void write_page(int /*group*/, std::int32_t /*page*/, std::span<const std::byte> /*content*/)
      override {}
  std::int64_t page_bytes(int /*group*/) const override { return 0; }

 private:
  std::chrono::microseconds step_time_;
  Clock::time_point due_{};
};

std::unique_ptr<Engine> make_null_engine(const NullServerOptions& options) {
  EngineParts parts;
  parts.info = {
      .name = "null",
      .family = "null",
      .quantization = "none",
      .vocab_size = 259,
      .context_length = kContextLength,
      .has_chat_template = true
  };
  parts.text = std::make_shared<const TextModel>(TextModel{
      .tokenizer = make_byte_tokenizer(),
      .chat_template = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {}),
      .eos_ids = {256}
  });
  parts.scheduler.cache = {
      .page_size = kPageSize,
      .groups = {{.num_pages = options.num_sequences * (kContextLength / kPageSize / 16)}}
  };
  parts.scheduler.max_sequences = options.num_sequences;
  parts.scheduler.max_waiting = options.num_queue;
  parts.scheduler.step_tokens = 4 * options.num_sequences;
  parts.max_queue = options.num_queue;
  parts.ring.capacity = 1;
  parts.make_runner = [step_time = options.step_time] {
    return std::make_unique<NullRunner>(step_time);
  };
  return std::make_unique<Engine>(std::move(parts));
}

NullServerOptions parse(std::span<char*> words) {
  NullServerOptions options;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const std::string_view name = words[i];
    const int value = std::atoi(words[i + 1]);
    if (name == "--sequences") {
      options.num_sequences = value;
    } else if (name == "--queue") {
      options.num_queue = value;
    } else if (name == "--step-us") {
      options.step_time = std::chrono::microseconds(value);
    } else if (name == "--threads") {
      options.num_threads = value;
    } else if (name == "--connections") {
      options.num_connections = value;
    } else if (name == "--port") {
      options.port = static_cast<std::uint16_t>(value);
    } else if (name == "--write-timeout") {
      options.write_timeout = std::chrono::seconds(value);
    } else {
      throw std::invalid_argument("unknown flag " + std::string(name));
    }
  }
  return options;
}

void serve(const NullServerOptions& options) {
  const std::unique_ptr<Engine> engine = make_null_engine(options);
  ServerOptions http;
  http.port = options.port;
  http.num_threads = options.num_threads;
  http.max_connections = options.num_connections;
  http.write_timeout = options.write_timeout;
  http.idle_timeout = std::chrono::minutes(15);
  Server server(*engine, std::move(http));
  server.start();
  fmt::print("ready {} {}\n", server.url(), ::getpid());
  static_cast<void>(std::fflush(stdout));
  while (std::getchar() != EOF) {
  }
  server.stop();
}

}  // namespace
}  // namespace mlxs

int main(int argc, char** argv) {
  try {
    const std::span<char*> words(argv, static_cast<std::size_t>(argc));
    mlxs::serve(mlxs::parse(words.subspan(1)));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "null_server: {}\n", error.what());
    return 1;
  }
}
