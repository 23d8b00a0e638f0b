// Time of the scheduler itself, without a device: 1,024 sequences run and 10,000 wait, as
// `scheduler_bench [--running N] [--waiting N] [--steps N] [--ends N]` (--ends: sequences that end
// in each step and are replaced). Prints one JSON object; times are microseconds of wall clock.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <ratio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cache/kv_cache.h"
#include "cache/page_layout.h"
#include "engine/batch.h"
#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"

namespace {

using mlxs::Batch;
using mlxs::Sequence;
using mlxs::SequenceId;

struct Sizes {
  int num_running = 1024;
  int num_waiting = 10'000;
  int num_steps = 2000;
  int num_ends = 0;
};

Sizes read_arguments(int argc, char** argv) {
  Sizes sizes;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const int value = std::atoi(argv[i + 1]);
    if (name == "--running") sizes.num_running = value;
    if (name == "--waiting") sizes.num_waiting = value;
    if (name == "--steps") sizes.num_steps = value;
    if (name == "--ends") sizes.num_ends = value;
  }
  return sizes;
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

class Bench {
 public:
  explicit Bench(const Sizes& sizes)
      : sizes_(sizes),
        scheduler_(
            {.max_sequences = sizes.num_running,
             .step_tokens = sizes.num_running + 1024,
             .cache = {.page_size = 32, .groups = {{.num_pages = sizes.num_running * 160}}},
             .max_waiting = sizes.num_waiting + sizes.num_running + 1}
        ) {
    for (int i = 0; i < sizes.num_running + sizes.num_waiting; ++i) add();
    while (scheduler_.num_running() < sizes.num_running || is_prefilling_) step();
    num_ends_ = sizes.num_ends;
    schedule_us_.clear();
    complete_us_.clear();
  }

  void run() {
    for (int i = 0; i < sizes_.num_steps; ++i) step();
  }

  [[nodiscard]] mlxs::json::object result() {
    return {
        {"name", "scheduler"},
        {"cpu", cpu_name()},
        {"num_running", scheduler_.num_running()},
        {"num_waiting", scheduler_.num_waiting()},
        {"num_ends_per_step", sizes_.num_ends},
        {"num_steps", sizes_.num_steps},
        {"schedule_us", summary(schedule_us_)},
        {"complete_us", summary(complete_us_)},
    };
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
  }

  static mlxs::json::object summary(std::vector<double> values) {
    std::ranges::sort(values);
    const auto at = [&](double share) {
      return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
    };
    return {{"min", at(0)}, {"median", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
  }

  void add() {
    Sequence sequence;
    sequence.id = next_id_++;
    for (int i = 0; i < 64; ++i)
      sequence.token_ids.push_back(static_cast<std::int32_t>(random_() % 50'000));
    sequence.num_prompt_tokens = 64;
    sequence.max_length = 64 + 5000;
    sequence.priority = static_cast<int>(random_() % 3);
    sequence.key = fmt::format("key-{}", random_() % 100);
    sequence.arrived_at = now_;
    if (!scheduler_.add(std::move(sequence), now_).is_accepted()) std::abort();
  }

  void step() {
    const auto begin = Clock::now();
    const Batch batch = scheduler_.schedule(now_);
    const auto scheduled = Clock::now();
    is_prefilling_ = batch.token_ids.size() > batch.slices.size();
    now_ += std::chrono::milliseconds(20);
    const std::vector<mlxs::SampledToken> tokens(batch.samples.size(), {.id = 7});
    const auto reported = Clock::now();
    const auto counted = scheduler_.complete(
        {.step = batch.step,
         .duration = std::chrono::milliseconds(20),
         .completed_at = now_,
         .tokens = tokens}
    );
    const auto completed = Clock::now();
    schedule_us_.push_back(microseconds(scheduled - begin));
    complete_us_.push_back(microseconds(completed - reported));
    for (int i = 0; i < num_ends_; ++i) {
      const SequenceId id = counted.at(random_() % counted.size()).sequence;
      if (scheduler_.remove(id, mlxs::Keep::nothing)) add();
    }
  }

  Sizes sizes_;
  mlxs::Scheduler scheduler_;
  std::mt19937 random_{1};
  mlxs::TimePoint now_ = mlxs::TimePoint(std::chrono::seconds(1));
  SequenceId next_id_ = 1;
  bool is_prefilling_ = true;
  int num_ends_ = 0;  // none while the first ones start
  std::vector<double> schedule_us_;
  std::vector<double> complete_us_;
};

}  // namespace

int main(int argc, char** argv) {
  const Sizes sizes = read_arguments(argc, argv);
  Bench bench(sizes);
  bench.run();
  std::puts(mlxs::json::serialize(bench.result()).c_str());
  return 0;
}
