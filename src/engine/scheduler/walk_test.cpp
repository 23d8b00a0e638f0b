// Random walks, and the trace of one replayed. MLX_SERVING_TEST_SCALE=1 takes a million actions.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "cache/testing/test_scale.h"
#include "engine/scheduler/json_trace.h"
#include "engine/scheduler/trace_replay.h"
#include "engine/testing/scheduler_walk.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr std::size_t kActionsOfAWalk = 2000;

SchedulerWalk::Choose random_choice(unsigned seed) {
  return [random = std::mt19937(seed)](unsigned limit) mutable {
    return static_cast<unsigned>(random() % limit);
  };
}

TEST(SchedulerWalk, KeepsItsInvariantsWhateverHappens) {
  const std::size_t num_actions = testing::scaled_count(1'000'000);
  std::uint64_t num_finished = 0;
  std::uint64_t num_swaps = 0;
  std::uint64_t num_recomputes = 0;
  for (unsigned walk = 0; walk * kActionsOfAWalk < num_actions; ++walk) {
    SCOPED_TRACE(walk);
    SchedulerWalk actions(random_choice(walk));
    for (std::size_t i = 0; i < kActionsOfAWalk; ++i) ASSERT_NO_THROW(actions.act()) << i;
    ASSERT_NO_THROW(actions.drain());
    num_finished += actions.num_finished();
    num_swaps += actions.scheduler().stats().num_swaps;
    num_recomputes += actions.scheduler().stats().num_recomputes;
  }
  EXPECT_GT(num_finished, num_actions / 100);
  EXPECT_GT(num_swaps, num_actions / 1000);
  EXPECT_GT(num_recomputes, num_actions / 1000);
}

std::vector<std::string> record_walk(unsigned seed) {
  std::vector<std::string> lines;
  JsonTrace trace([&lines](std::string_view line) { lines.emplace_back(line); });
  SchedulerWalk walk(random_choice(seed), &trace);
  for (std::size_t i = 0; i < kActionsOfAWalk; ++i) walk.act();
  walk.drain();
  return lines;
}

TEST(TraceReplay, TakesEqualDecisions) {
  for (unsigned seed = 100; seed < 110; ++seed) {
    TraceReplay replay;
    const auto lines = record_walk(seed);
    ASSERT_GT(lines.size(), kActionsOfAWalk / 2);
    for (const std::string& line : lines) {
      const auto difference = replay.feed(line);
      ASSERT_FALSE(difference) << seed << ':' << difference->line << '\n'
                               << difference->recorded << '\n'
                               << difference->replayed;
    }
    EXPECT_EQ(replay.scheduler()->num_running(), 0);
  }
}

TEST(TraceReplay, FindsTheFirstOtherDecision) {
  auto lines = record_walk(100);
  std::size_t changed = 0;
  for (std::size_t i = lines.size() / 2; i < lines.size() && changed == 0; ++i) {
    const std::string from = "\"started\",\"id\":";
    const auto place = lines[i].find(from);
    if (place == std::string::npos) continue;
    lines[i].insert(place + from.size(), "9");
    changed = i;
  }
  ASSERT_GT(changed, 0U);
  TraceReplay replay;
  std::optional<TraceDifference> difference;
  for (std::size_t i = 0; i < lines.size() && !difference; ++i) difference = replay.feed(lines[i]);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->line, changed + 1);
  EXPECT_EQ(difference->recorded, lines[changed]);
}

TEST(TraceReplay, RefusesWhatIsNoTrace) {
  TraceReplay replay;
  for (const char* line :
       {"nonsense", "[]", "{}", R"({"event":"scheduled","now":1})", R"({"event":"created"})"}) {
    EXPECT_THROW((void)replay.feed(line), Error) << line;
  }
}

}  // namespace
}  // namespace mlxs
