// host_step_bench [SEQUENCES] [STEPS]: what a step costs the host on top of the model, with 256
// running sequences unless told otherwise: commands, schedule, submission, collection,
// detokenizing and events, on a device that answers at once and does nothing. Prints one JSON
// object: microseconds a step, median, p99 and mean.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/runner.h"
#include "engine/testing/fake_engine.h"
#include "engine/testing/loop_driver.h"
#include "engine/text_model.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;

class DoneSubmission final : public Submission {
 public:
  explicit DoneSubmission(const Batch& batch) {
    result_.tokens.assign(batch.samples.size(), {.id = 'a'});
  }
  bool wait_for(std::chrono::nanoseconds /*timeout*/) override { return true; }
  StepResult take() override { return std::move(result_); }

 private:
  StepResult result_;
};

class IdleRunner final : public Runner {
 public:
  std::unique_ptr<Submission> submit(const Batch& batch) override {
    return std::make_unique<DoneSubmission>(batch);
  }
  std::vector<std::byte> read_page(int /*group*/, std::int32_t /*page*/) override { return {}; }
  void write_page(int /*group*/, std::int32_t /*page*/, std::span<const std::byte> /*content*/)
      override {}
  std::int64_t page_bytes(int /*group*/) const override { return 0; }
};

EngineParts parts_for(int num_sequences, int num_tokens) {
  constexpr int kPageSize = 32;
  EngineParts parts;
  parts.info.vocab_size = 259;
  parts.info.context_length = 1 << 20;
  parts.text = std::make_shared<const TextModel>(TextModel{.tokenizer = make_byte_tokenizer()});
  parts.scheduler.cache = {
      .page_size = kPageSize,
      .groups = {{.num_pages = num_sequences * (num_tokens / kPageSize + 4)}}
  };
  parts.scheduler.max_sequences = num_sequences;
  parts.scheduler.step_tokens = 4 * num_sequences;
  parts.ring.capacity = 2;
  parts.make_runner = [] { return std::make_unique<IdleRunner>(); };
  return parts;
}

void measure(int num_sequences, int num_steps) {
  constexpr int kWarmUp = 100;
  const int num_tokens = num_steps + 4 * kWarmUp;
  testing::LoopDriver driver(parts_for(num_sequences, num_tokens), testing::Turns::pipelined);
  for (int i = 0; i < num_sequences; ++i) {
    std::vector<std::int32_t> prompt(16, 'a' + i % 26);
    (void)driver.submit({.prompt_ids = std::move(prompt), .num_tokens = num_tokens});
  }
  driver.take_turns(kWarmUp);
  std::vector<double> times;
  for (int i = 0; i < num_steps; ++i) {
    const Clock::time_point begin = Clock::now();
    (void)driver.loop().step();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    driver.take_turns(0);  // the readers' side is other threads' work
  }
  double sum = 0.0;
  for (const double time : times) sum += time;
  std::ranges::sort(times);
  const auto at = [&times](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  const EngineStats stats = driver.stats();
  fmt::print(
      "{{\"sequences\": {}, \"running\": {}, \"steps\": {}, \"rows_a_step\": {:.1f}, "
      "\"median_us\": {:.1f}, \"p99_us\": "
      "{:.1f}, \"mean_us\": {:.1f}}}\n",
      num_sequences,
      stats.num_running,
      num_steps,
      static_cast<double>(stats.num_step_tokens) / static_cast<double>(stats.num_steps),
      at(0.5),
      at(0.99),
      sum / static_cast<double>(times.size())
  );
}

}  // namespace
}  // namespace mlxs

int main(int argc, char** argv) {
  try {
    const int num_sequences = argc > 1 ? std::atoi(argv[1]) : 256;
    const int num_steps = argc > 2 ? std::atoi(argv[2]) : 2000;
    mlxs::measure(num_sequences, num_steps);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "host_step_bench: {}\n", error.what());
    return 1;
  }
}
