// Every part runs once, whatever the numbers of threads and parts.
#include "kernels/worker_team.h"

#include <gtest/gtest.h>

#include <chrono>

namespace mlxs {
namespace {

TEST(WorkerTeam, RunsEveryPartOnceInManyLoops) {
  for (const int num_threads : {1, 2, 5}) {
    WorkerTeam team(num_threads);
    EXPECT_EQ(team.num_threads(), num_threads);
    for (int loop = 0; loop < 500; ++loop) {
      std::vector<std::atomic<int>> counts(static_cast<std::size_t>(loop % 40));
      team.run(loop % 40, [&](int part) { counts[static_cast<std::size_t>(part)].fetch_add(1); });
      for (const std::atomic<int>& count : counts) ASSERT_EQ(count.load(), 1);
    }
  }
}

TEST(WorkerTeam, WakesWorkersThatHaveParked) {
  WorkerTeam team(3);
  for (int loop = 0; loop < 3; ++loop) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> num_parts{0};
    team.run(100, [&](int /*part*/) { num_parts.fetch_add(1); });
    EXPECT_EQ(num_parts.load(), 100);
  }
}

TEST(WorkerTeam, TakesAllThreadsOfTheMachineByDefault) {
  EXPECT_EQ(WorkerTeam(0).num_threads(), num_usable_processors());
}

}  // namespace
}  // namespace mlxs
