// The stopwatch of bench, against an engine whose steps take a known time.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <vector>

#include "base/json.h"
#include "cli/bench_measure.h"
#include "cli/bench_report.h"
#include "cli/cli.h"
#include "cli/testing/cli_harness.h"
#include "engine/testing/fake_engine.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr int kStepMs = 25;
constexpr double kStepsPerSecond = 1000.0 / kStepMs;

FakeEngineOptions slow_engine(int num_sequences) {
  FakeEngineOptions options;
  options.context_length = 512;
  options.max_sequences = num_sequences;
  options.runner.num_pages = 4096;
  options.runner.step_time = std::chrono::milliseconds(kStepMs);
  return options;
}

TEST(Bench, DecodeAgreesWithTheStepTime) {
  const auto engine = make_fake_engine(slow_engine(1));
  const BenchLoad load{
      .kind = BenchLoad::Kind::decode, .num_tokens = 20, .depth = 30, .step_tokens = 64
  };
  const auto start = std::chrono::steady_clock::now();
  const BenchRun run = run_bench(*engine, load);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  EXPECT_NEAR(run.tokens_per_second, kStepsPerSecond, 0.15 * kStepsPerSecond);
  EXPECT_NEAR(run.engine_tokens_per_second, run.tokens_per_second, 0.15 * run.tokens_per_second);
  // One step of prefill, 20 of decode, and at most a step until the cancellation is seen.
  EXPECT_GE(whole.count(), 21 * kStepMs / 1000.0);
  EXPECT_NEAR(run.seconds, 20 * kStepMs / 1000.0, 0.15 * 20 * kStepMs / 1000.0);
  EXPECT_EQ(engine->stats().num_running, 0);
  EXPECT_EQ(engine->stats().num_waiting, 0);
}

TEST(Bench, BatchesDecodeTogether) {
  const auto engine = make_fake_engine(slow_engine(4));
  // 4 prompts of 60 tokens under 64 tokens a step: the sequences start at different steps.
  const BenchLoad load{
      .kind = BenchLoad::Kind::decode, .batch = 4, .num_tokens = 20, .depth = 60, .step_tokens = 64
  };
  const BenchRun run = run_bench(*engine, load);
  EXPECT_NEAR(run.tokens_per_second, 4 * kStepsPerSecond, 0.15 * 4 * kStepsPerSecond);
  EXPECT_EQ(engine->stats().num_running, 0);
}

TEST(Bench, PrefillCountsThePromptOnly) {
  const auto engine = make_fake_engine(slow_engine(2));
  // 2 * 192 tokens at 64 a step are 6 steps.
  const BenchLoad load{.batch = 2, .num_tokens = 192, .step_tokens = 64};
  const BenchRun run = run_bench(*engine, load);
  EXPECT_NEAR(run.tokens_per_second, 64 * kStepsPerSecond, 0.15 * 64 * kStepsPerSecond);
  EXPECT_NEAR(run.engine_tokens_per_second, run.tokens_per_second, 0.15 * run.tokens_per_second);
}

TEST(Bench, ABatchThatDoesNotFitIsRefused) {
  FakeEngineOptions options = slow_engine(4);
  options.runner.num_pages = 30;  // 120 tokens
  const auto engine = make_fake_engine(options);
  const BenchLoad load{
      .kind = BenchLoad::Kind::decode, .batch = 4, .num_tokens = 30, .depth = 30, .step_tokens = 64
  };
  try {
    (void)run_bench(*engine, load);
    ADD_FAILURE() << "it ran";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_config);
  }
}

TEST(Bench, Spread) {
  const Spread odd = spread_of({3.0, 1.0, 2.0});
  EXPECT_EQ(odd.median, 2.0);
  EXPECT_EQ(odd.min, 1.0);
  EXPECT_EQ(odd.max, 3.0);
  EXPECT_EQ(spread_of({1.0, 2.0, 4.0, 8.0}).median, 3.0);
}

TEST(Bench, Names) {
  EXPECT_EQ(bench_name({.num_tokens = 512}), "pp512");
  EXPECT_EQ(
      bench_name({.kind = BenchLoad::Kind::decode, .num_tokens = 128, .depth = 4096}),
      "tg128 @ d4096"
  );
}

TEST(Bench, JsonOfTheCommand) {
  CliHarness harness;
  harness.engine = slow_engine(4);
  harness.engine.runner.step_time = std::chrono::milliseconds(1);
  ASSERT_EQ(
      harness.run(
          {"bench",
           "--prompt",
           "16",
           "--gen",
           "4",
           "--batch",
           "1,3",
           "--depth",
           "8",
           "--repeat",
           "2",
           "--json"}
      ),
      kExitOk
  ) << harness.err;
  EXPECT_EQ(harness.config.max_sequences, 3);
  const json::value report = parse_json(harness.out.substr(0, harness.out.size() - 1));
  EXPECT_EQ(report.at("mlx_version").as_string(), "9.9.9");
  EXPECT_TRUE(report.at("machine").at("gpu").is_null());
  EXPECT_FALSE(report.at("commit").as_string().empty());
  const json::array& results = report.at("results").as_array();
  ASSERT_EQ(results.size(), 4U);
  const std::vector<std::string> tests = {"pp16", "tg4 @ d8", "pp16", "tg4 @ d8"};
  const std::vector<int> batches = {1, 1, 3, 3};
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].at("test").as_string(), tests[i]);
    EXPECT_EQ(results[i].at("batch").as_int64(), batches[i]);
    const json::value& speed = results[i].at("tokens_per_second");
    EXPECT_EQ(speed.at("samples").as_array().size(), 2U);
    EXPECT_LE(speed.at("min").as_double(), speed.at("median").as_double());
    EXPECT_LE(speed.at("median").as_double(), speed.at("max").as_double());
    EXPECT_GT(speed.at("min").as_double(), 0.0);
  }
}

TEST(Bench, TableAndRandomWeights) {
  CliHarness harness;
  harness.engine = slow_engine(1);
  harness.engine.runner.step_time = std::chrono::milliseconds(1);
  ASSERT_EQ(
      harness.run(
          {"bench", "--random", "config.json", "--prompt", "4", "--gen", "0", "--repeat", "1"}
      ),
      kExitOk
  );
  EXPECT_EQ(harness.config.random_weights_config, "config.json");
  EXPECT_NE(harness.out.find("| pp4 "), std::string::npos) << harness.out;
  EXPECT_EQ(harness.out.find("| tg"), std::string::npos) << harness.out;
}

}  // namespace
}  // namespace mlxs
