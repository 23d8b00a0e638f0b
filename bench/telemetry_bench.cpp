// telemetry_bench: what an event costs the thread that records it, alone and while another thread
// reads all figures without a pause. Prints one JSON object: nanoseconds an event, median and
// largest of the rounds.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mlx_serving/engine.h"
#include "telemetry/collector.h"
#include "telemetry/energy.h"
#include "telemetry/exposition.h"
#include "telemetry/http_metrics.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

constexpr int kRounds = 21;
constexpr int kEvents = 100'000;

struct Cost {
  double median_ns = 0.0;
  double max_ns = 0.0;
};

Cost cost_of(const std::function<void(int)>& events) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point begin = Clock::now();
    events(kEvents);
    const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
    rounds.push_back(time.count() / kEvents);
  }
  std::ranges::sort(rounds);
  return {.median_ns = rounds[rounds.size() / 2], .max_ns = rounds.back()};
}

class Bench {
 public:
  [[nodiscard]] std::string figures() {
    std::string text;
    const auto add = [&text](std::string_view name, const Cost& cost) {
      text += fmt::format(
          R"({}"{}": {{"median_ns": {:.1f}, "max_ns": {:.1f}}})",
          text.empty() ? "" : ", ",
          name,
          cost.median_ns,
          cost.max_ns
      );
    };
    add("next_token", cost_of([this](int count) {
          for (int i = 0; i < count; ++i)
            meter_.next_token(Nanoseconds(4'000'000 + 97 * (i & 0xffff)));
        }));
    add("first_token", cost_of([this](int count) {
          for (int i = 0; i < count; ++i)
            meter_.first_token(
                {.since_submission = Nanoseconds(40'000'000 + 97 * (i & 0xffff)),
                 .prompt_tokens = 128}
            );
        }));
    add("step", cost_of([this](int count) {
          for (int i = 0; i < count; ++i)
            collector_->record_step(
                {.decode_rows = 16,
                 .duration = Nanoseconds(4'000'000 + 97 * (i & 0xffff)),
                 .gap = Nanoseconds(20'000)}
            );
        }));
    return text;
  }

  void read() const {
    const std::array models = {
        ModelFigures{.collector = *collector_, .info = info_, .stats = EngineStats{}}
    };
    length_ = exposition(models, {.http = http_, .energy = energy_}, MetricNames::all).size();
  }

 private:
  const ModelInfo info_ = {.name = "bench", .context_length = 8192};
  const HttpMetrics http_;
  const EnergyMeter energy_{EnergySources{}};
  const std::shared_ptr<Collector> collector_ =
      std::make_shared<Collector>(CollectorOptions{.model = "bench", .context_length = 8192});
  const RequestMeter meter_{collector_, collector_->key("key"), {.max_tokens = 128}};
  mutable std::atomic<std::size_t> length_ = 0;
};

}  // namespace
}  // namespace mlxs

int main() {
  mlxs::Bench bench;
  const std::string alone = bench.figures();
  std::atomic<bool> is_done = false;
  std::thread reader([&] {
    while (!is_done) bench.read();
  });
  const std::string beside = bench.figures();
  is_done = true;
  reader.join();
  fmt::print("{{\"alone\": {{{}}}, \"while_read\": {{{}}}}}\n", alone, beside);
  return 0;
}
