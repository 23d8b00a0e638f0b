// The same prompts by every path through the engine: alone, among mates, in chunks, after a prefix
// hit, after preemptions, pipelined and plain. On the two-layer golden models the greedy tokens are
// those of a plain forward pass, all of them: on the CPU every sum has one order, whatever else is
// in the batch, however the prompt is cut.
#include <gtest/gtest.h>
#include <mlx/ops.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cache/disk_tier.h"
#include "cache/file_system.h"
#include "engine/engine_parts.h"
#include "engine/mlx_golden_model.h"
#include "engine/mlx_runner.h"
#include "engine/testing/loop_driver.h"
#include "engine/text_model.h"
#include "kernels/batch_view.h"
#include "kernels/testing/arrays.h"
#include "model/model.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::load_golden_model;
using testing::LoopDriver;
using testing::Turns;

constexpr int kPageSize = 4;
constexpr int kNumTokens = 12;
constexpr int kPromptsPerModel = 7;

struct Prompt {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> tokens;  // what a plain forward pass says
};

// One sequence alone in pages of its own: its prompt at once, then token by token.
void continue_plainly(const Model& model, Prompt& prompt) {
  const std::size_t num_groups = model.layer_groups().size();
  const int length = static_cast<int>(prompt.ids.size()) + kNumTokens;
  const int num_pages = (length + kPageSize - 1) / kPageSize;
  KvPages pages = model.make_kv_pages(
      {.num_pages = std::vector<int>(num_groups, num_pages), .page_size = kPageSize}
  );
  std::vector<std::int32_t> table;
  for (std::int32_t page = 0; page < num_pages; ++page) table.push_back(page);
  std::vector<std::int32_t> next = prompt.ids;
  int context = 0;
  for (int i = 0; i < kNumTokens; ++i) {
    const int num_rows = static_cast<int>(next.size());
    SequenceView view{
        .first_row = 0,
        .num_rows = num_rows,
        .context_length = context,
        .pages = {num_groups, table},
        .use_long_rope = model.uses_long_rope(length)
    };
    const BatchView batch = make_batch_view({std::move(view)}, pages.shape);
    const mx::array ids(next.data(), mx::Shape{num_rows}, mx::int32);
    const mx::array hidden = model.forward(ids, batch_positions(batch), batch, pages);
    const mx::array last = mx::take(hidden, mx::array({num_rows - 1}, mx::int32), 0);
    const std::vector<float> logits = host_values(model.logits(last));
    const auto best = std::ranges::max_element(logits) - logits.begin();
    prompt.tokens.push_back(static_cast<std::int32_t>(best));
    context += num_rows;
    next = {prompt.tokens.back()};
  }
}

void expect_same(const Prompt& prompt, const std::vector<std::int32_t>& tokens) {
  EXPECT_EQ(tokens, prompt.tokens);
}

struct PathOptions {
  int step_tokens = 512;
  int num_pages = 1024;
  int in_flight_steps = 1;
  PreemptionKind preemption = PreemptionKind::recompute;
  int host_pages = 0;
};

// Every model's prompts and their plain continuations.
class GoldenPaths : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    model_ = std::make_unique<Model>(load_golden_model(GetParam()));
    for (int i = 0; i < kPromptsPerModel; ++i) {
      Prompt& prompt = prompts_.emplace_back();
      prompt.ids = random_ids(6 + static_cast<int>(random_() % 40));
      continue_plainly(*model_, prompt);
    }
  }

  std::vector<std::int32_t> random_ids(int count) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(random_() % 64));
    return ids;
  }

  [[nodiscard]] EngineParts parts(const PathOptions& options) const {
    EngineParts parts;
    parts.info.vocab_size = model_->spec().vocab_size;
    parts.info.context_length = model_->spec().context_length;
    parts.text =
        std::make_shared<const TextModel>(make_placeholder_text_model(parts.info.vocab_size));
    std::vector<int> num_pages;
    for (const LayerGroup& group : model_->layer_groups()) {
      parts.scheduler.cache.groups.push_back(
          {.num_pages = options.num_pages, .window = group.window}
      );
      num_pages.push_back(options.num_pages);
    }
    parts.scheduler.cache.page_size = kPageSize;
    parts.scheduler.max_sequences = 33;
    parts.scheduler.step_tokens = options.step_tokens;
    parts.scheduler.preemption = options.preemption;
    parts.scheduler.host_pages = options.host_pages;
    parts.ring.capacity = options.in_flight_steps;
    parts.make_runner = [name = std::string(GetParam()), num_pages] {
      Model model = load_golden_model(name);
      KvPages pages = model.make_kv_pages({.num_pages = num_pages, .page_size = kPageSize});
      return std::make_unique<MlxRunner>(std::move(model), std::move(pages));
    };
    return parts;
  }

  // Submits all prompts at once and compares them all.
  void expect_all_same(LoopDriver& driver, int priority = 0) {
    const std::size_t first = submit_all(driver, priority);
    driver.run();
    compare_all(driver, first);
  }

  std::size_t submit_all(LoopDriver& driver, int priority = 0) {
    std::size_t first = 0;
    for (std::size_t i = 0; i < prompts_.size(); ++i) {
      const std::size_t index = driver.submit(
          {.prompt_ids = prompts_[i].ids, .num_tokens = kNumTokens, .priority = priority}
      );
      if (i == 0) first = index;
    }
    return first;
  }

  void compare_all(LoopDriver& driver, std::size_t first) {
    for (std::size_t i = 0; i < prompts_.size(); ++i) {
      SCOPED_TRACE("prompt " + std::to_string(i));
      expect_same(prompts_[i], driver.tokens(first + i));
    }
  }

  void expect_same_after_preemption(const PathOptions& options);

  std::mt19937 random_{97};
  std::unique_ptr<Model> model_;
  std::vector<Prompt> prompts_;
};

TEST_P(GoldenPaths, Alone) {
  LoopDriver driver(parts({}), Turns::pipelined);
  for (const Prompt& prompt : prompts_) {
    const std::size_t index = driver.submit({.prompt_ids = prompt.ids, .num_tokens = kNumTokens});
    driver.run();
    expect_same(prompt, driver.tokens(index));
  }
}

TEST_P(GoldenPaths, AmongThirtyTwoMates) {
  LoopDriver driver(parts({}), Turns::pipelined);
  for (int i = 0; i < 33 - kPromptsPerModel; ++i) {
    (void)driver.submit(
        {.prompt_ids = random_ids(1 + static_cast<int>(random_() % 40)),
         .num_tokens = 1 + static_cast<int>(random_() % kNumTokens),
         .sampling = {.temperature = i % 2 == 0 ? 0.8F : 0.0F}}
    );
  }
  expect_all_same(driver);
}

TEST_P(GoldenPaths, InChunks) {
  LoopDriver driver(parts({.step_tokens = 34}), Turns::pipelined);
  expect_all_same(driver);
}

TEST_P(GoldenPaths, AfterAPrefixHit) {
  LoopDriver driver(parts({}), Turns::pipelined);
  expect_all_same(driver);
  const std::size_t again = submit_all(driver);
  driver.run();
  compare_all(driver, again);
  int num_cached = 0;
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    num_cached += driver.finish(again + i).usage.cached_tokens;
  EXPECT_GT(num_cached, 0);
}

void GoldenPaths::expect_same_after_preemption(const PathOptions& options) {
  LoopDriver driver(parts(options), Turns::pipelined);
  const std::size_t first = submit_all(driver);
  driver.take_turns(5);
  // More urgent ones take the pages of those that run.
  for (int i = 0; i < 4; ++i)
    (void)driver.submit({.prompt_ids = random_ids(60), .num_tokens = 8, .priority = 10});
  driver.run();
  EXPECT_GT(driver.stats().num_preemptions, 0U);
  compare_all(driver, first);
}

TEST_P(GoldenPaths, AfterPreemptionByRecompute) {
  expect_same_after_preemption({.num_pages = 80, .in_flight_steps = 2});
}

TEST_P(GoldenPaths, AfterPreemptionBySwap) {
  expect_same_after_preemption(
      {.num_pages = 80, .in_flight_steps = 2, .preemption = PreemptionKind::swap, .host_pages = 400}
  );
}

TEST_P(GoldenPaths, AfterARestartFromTheDisk) {
  const auto folder =
      std::filesystem::path(::testing::TempDir()) / (std::string("mlxs_golden_tier_") + GetParam());
  std::filesystem::remove_all(folder);
  for (int round = 0; round < 2; ++round) {
    EngineParts kept = parts({.in_flight_steps = 2});
    kept.make_disk_tier = [&folder] {
      return std::make_unique<DiskTier>(
          open_folder(folder), DiskTierOptions{.max_bytes = std::uint64_t{64} << 20U}
      );
    };
    LoopDriver driver(kept, Turns::pipelined);
    expect_all_same(driver);
    EXPECT_TRUE(driver.loop().flush_cache(std::chrono::seconds(30)));
    EXPECT_EQ(driver.stats().num_cached_tokens > 0, round == 1);
  }
  std::filesystem::remove_all(folder);
}

TEST_P(GoldenPaths, Pipelined) {
  for (const int in_flight_steps : {2, 3}) {
    LoopDriver driver(parts({.in_flight_steps = in_flight_steps}), Turns::pipelined);
    expect_all_same(driver);
  }
}

TEST_P(GoldenPaths, PlainIsIdenticalToPipelined) {
  const PathOptions options{.step_tokens = 34, .in_flight_steps = 2};
  LoopDriver plain(parts(options), Turns::plain);
  LoopDriver pipelined(parts(options), Turns::pipelined);
  const std::size_t first = submit_all(plain);
  (void)submit_all(pipelined);
  plain.run();
  pipelined.run();
  compare_all(plain, first);
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    EXPECT_EQ(plain.tokens(first + i), pipelined.tokens(first + i)) << i;
}

// Penalties and seeds count tokens that only the device knows, as if the host knew them.
TEST_P(GoldenPaths, SamplersSeeTokensInFlight) {
  LoopDriver plain(parts({}), Turns::plain);
  LoopDriver pipelined(parts({.in_flight_steps = 3}), Turns::pipelined);
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    const SamplingParams sampling{
        .temperature = i % 2 == 0 ? 0.0F : 0.9F,
        .repetition_penalty = 1.3F,
        .presence_penalty = 0.5F,
        .frequency_penalty = 0.7F,
        .seed = 11 + i
    };
    for (LoopDriver* driver : {&plain, &pipelined}) {
      (void)driver->submit({.prompt_ids = prompts_[i].ids, .num_tokens = 24, .sampling = sampling});
    }
  }
  plain.run();
  pipelined.run();
  for (std::size_t i = 0; i < prompts_.size(); ++i)
    EXPECT_EQ(plain.tokens(i), pipelined.tokens(i)) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Models,
    GoldenPaths,
    ::testing::Values(
        "llama",
        "gemma3",
        "mistral",
        "qwen2_window",
        "qwen3",
        "phi3_longrope",
        "smollm2",
        "mlx_q4_g64_qwen2",
        "gguf_llama_q4_1"
    ),
    [](const auto& model) { return std::string(model.param); }
);

}  // namespace
}  // namespace mlxs
