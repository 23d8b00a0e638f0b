// An engine whose parts fail at random moments: who is hit gets an error, everybody else the right
// answer, and the next request works.
#include <gtest/gtest.h>

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

#include "base/fault_point.h"
#include "base/testing/test_scale.h"
#include "cache/disk_tier.h"
#include "cache/file_system.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

using testing::Answer;
using testing::ask;
using testing::expected_text;
using testing::is_idle;
using testing::read_all;
using testing::scaled_count;
using testing::text_request;

constexpr int kNumRequests = 32;
constexpr int kNumTokens = 20;

FakeEngineOptions engine_options() {
  return {
      .context_length = 256,
      .max_sequences = kNumRequests,
      .step_tokens = 96,
      .max_queue = 64,
      .runner = {.num_pages = 800, .page_size = 8},
      .ring = {.capacity = 2}
  };
}

std::unique_ptr<Engine> make_engine() { return make_fake_engine(engine_options()); }

std::string prompt_of(int request) {
  return std::to_string(request) + std::string(static_cast<std::size_t>(request % 9) * 5, 'x');
}

// Asks many at once. RETURNS: how many got an error; all others have the right answer.
int ask_all(Engine& engine, ErrorCode code) {
  std::vector<Generation> generations;
  for (int i = 0; i < kNumRequests; ++i)
    generations.push_back(engine.submit(text_request(prompt_of(i), kNumTokens)));
  int num_failed = 0;
  for (int i = 0; i < kNumRequests; ++i) {
    const Answer answer = read_all(generations[static_cast<std::size_t>(i)]);
    const std::string expected = expected_text(prompt_of(i), kNumTokens);
    if (answer.finish.reason != FinishReason::error) {
      EXPECT_EQ(answer.text, expected);
      continue;
    }
    ++num_failed;
    EXPECT_EQ(answer.finish.error->code(), code);
    EXPECT_TRUE(expected.starts_with(answer.text)) << answer.text;
  }
  return num_failed;
}

void expect_works(Engine& engine) {
  for (int i = 0; i < kNumRequests; ++i) {
    EXPECT_EQ(
        ask(engine, text_request(prompt_of(i), kNumTokens)).text,
        expected_text(prompt_of(i), kNumTokens)
    );
  }
  EXPECT_TRUE(is_idle(engine));
}

class FaultAt : public ::testing::TestWithParam<const char*> {};

TEST_P(FaultAt, AStepThatFailsEndsItsRequestsOnly) {
  std::mt19937 random(71);
  const std::size_t num_seeds = scaled_count(50);
  for (std::size_t seed = 0; seed < num_seeds; ++seed) {
    const auto engine = make_engine();
    {
      const ScopedFault fault({.name = GetParam(), .first_hit = random() % 24});
      const int num_failed = ask_all(*engine, ErrorCode::engine_error);
      EXPECT_EQ(fault.num_harmed(), 1U);
      EXPECT_GE(num_failed, 1);
    }
    expect_works(*engine);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sites, FaultAt, ::testing::Values("runner.submit", "runner.forward", "sampler", "runner.take")
);

TEST(Fault, ADetokenizerThatFailsEndsItsRequestOnly) {
  std::mt19937 random(73);
  const std::size_t num_seeds = scaled_count(50);
  for (std::size_t seed = 0; seed < num_seeds; ++seed) {
    const auto engine = make_engine();
    {
      const ScopedFault fault({.name = "detokenizer", .first_hit = random() % 600});
      EXPECT_EQ(ask_all(*engine, ErrorCode::engine_error), 1);
    }
    expect_works(*engine);
  }
}

TEST(Fault, LogitsThatAreNotFiniteEndTheirRequestOnly) {
  std::mt19937 random(79);
  const std::size_t num_seeds = scaled_count(50);
  for (std::size_t seed = 0; seed < num_seeds; ++seed) {
    const auto engine = make_engine();
    {
      const ScopedFault fault(
          {.name = "logits", .kind = FaultKind::not_a_number, .first_hit = random() % 600}
      );
      EXPECT_EQ(ask_all(*engine, ErrorCode::numerical_error), 1);
    }
    expect_works(*engine);
  }
}

TEST(Fault, ADiskThatFailsCostsTheCacheOnly) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "mlxs_fault_tier";
  for (const char* site : {"cache.write", "cache.read"}) {
    std::filesystem::remove_all(folder);
    for (int round = 0; round < 2; ++round) {
      FakeEngineOptions options = engine_options();
      options.make_disk_tier = [&folder] {
        return std::make_unique<DiskTier>(
            open_folder(folder), DiskTierOptions{.max_bytes = std::uint64_t{64} << 20U}
        );
      };
      const auto engine = make_fake_engine(options);
      const ScopedFault fault({.name = site, .first_hit = 2, .num_hits = 9});
      EXPECT_EQ(ask_all(*engine, ErrorCode::engine_error), 0);
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(Fault, ASlowStepChangesNothing) {
  const auto engine = make_engine();
  const ScopedFault fault(
      {.name = "runner.forward",
       .kind = FaultKind::delay,
       .first_hit = 3,
       .num_hits = 5,
       .delay = std::chrono::milliseconds(2)}
  );
  EXPECT_EQ(ask_all(*engine, ErrorCode::engine_error), 0);
}

}  // namespace
}  // namespace mlxs
