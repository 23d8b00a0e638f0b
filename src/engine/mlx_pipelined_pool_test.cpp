// The KV pool is written in place while steps overlap: it keeps its address, and no step copies it.
#include <gtest/gtest.h>
#include <mlx/memory.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/engine_parts.h"
#include "engine/mlx_golden_model.h"
#include "engine/mlx_runner.h"
#include "engine/testing/loop_driver.h"
#include "engine/text_model.h"
#include "model/model.h"

namespace mlxs {
namespace {

constexpr int kNumPages = 16'384;
constexpr int kPageSize = 4;

// The addresses of the pool's arrays, which have to be evaluated.
std::vector<const void*> addresses(const MlxRunner& runner) {
  std::vector<const void*> result;
  for (mx::array& array : runner.pages().arrays()) {
    array.eval();
    result.push_back(array.buffer().ptr());
  }
  return result;
}

std::size_t pool_bytes(const MlxRunner& runner) {
  std::size_t sum = 0;
  for (const mx::array& array : runner.pages().arrays()) sum += array.nbytes();
  return sum;
}

// Eight sequences of 125 steps each, one per turn of the ring.
void run_steps(testing::LoopDriver& driver) {
  for (std::int32_t i = 0; i < 8; ++i)
    (void)driver.submit({.prompt_ids = {i, 1, 2, 3}, .num_tokens = 125});
  driver.run();
}

TEST(PipelinedPool, KeepsItsAddressAndThePeakOfMemoryOverAThousandSteps) {
  const MlxRunner* runner = nullptr;
  EngineParts parts;
  parts.info.vocab_size = 64;
  parts.info.context_length = 256;
  parts.text = std::make_shared<const TextModel>(make_placeholder_text_model(64));
  parts.scheduler.cache = {.page_size = kPageSize, .groups = {{.num_pages = kNumPages}}};
  parts.scheduler.max_sequences = 8;
  parts.ring.capacity = 3;
  parts.make_runner = [&runner] {
    Model model = testing::load_golden_model("llama");
    KvPages pages = model.make_kv_pages({.num_pages = {kNumPages}, .page_size = kPageSize});
    auto made = std::make_unique<MlxRunner>(std::move(model), std::move(pages));
    runner = made.get();
    return made;
  };
  testing::LoopDriver driver(parts, testing::Turns::pipelined);
  run_steps(driver);
  const std::vector<const void*> before = addresses(*runner);
  mx::reset_peak_memory();
  run_steps(driver);
  const std::size_t first_peak = mx::get_peak_memory();
  for (int round = 0; round < 8; ++round) run_steps(driver);
  EXPECT_GE(driver.stats().num_steps, 1000U);
  EXPECT_EQ(addresses(*runner), before);
  // Far below one layer's part of the pool, far above what steps differ by.
  const std::size_t slack = pool_bytes(*runner) / 32;
  EXPECT_LT(mx::get_peak_memory(), first_peak + slack);
}

}  // namespace
}  // namespace mlxs
