#include "engine/kv_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "mlx_serving/config.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

KvDemand demand_of(std::vector<KvGroupDemand> groups) {
  return {
      .groups = std::move(groups), .model_context = 2048, .memory_bytes = std::int64_t{1} << 34
  };
}

const KvDemand kDemand = demand_of({{.bytes_per_token = 1000}});

std::int64_t bytes_of(const KvBudget& budget, const KvDemand& demand) {
  std::int64_t sum = 0;
  for (std::size_t group = 0; group < demand.groups.size(); ++group)
    sum += std::int64_t{budget.layout.groups[group].num_pages} * budget.layout.page_size *
           demand.groups[group].bytes_per_token;
  return sum;
}

TEST(KvBudget, HoldsEverySequenceWhereMemoryAllows) {
  const KvBudget budget = plan_kv({.max_sequences = 4}, kDemand);
  EXPECT_EQ(budget.context_length, 2048);
  EXPECT_EQ(budget.layout.groups.at(0).num_pages * budget.layout.page_size, 4 * 2048);
}

TEST(KvBudget, NeverExceedsTheStatedMemory) {
  const KvBudget budget = plan_kv({.max_sequences = 4, .kv_memory_bytes = 1'000'000}, kDemand);
  EXPECT_EQ(budget.layout.groups.at(0).num_pages, 31);
  EXPECT_EQ(budget.context_length, 31 * 32);
  KvDemand small = kDemand;
  small.memory_bytes = 12'800'000;
  EXPECT_EQ(plan_kv({.max_sequences = 64}, small).layout.groups.at(0).num_pages, 100);
}

TEST(KvBudget, GroupsWithAWindowGetWhatTheWindowNeeds) {
  const KvDemand demand =
      demand_of({{.window = 512, .bytes_per_token = 5000}, {.window = 0, .bytes_per_token = 1000}});
  const KvBudget budget = plan_kv({.max_sequences = 3}, demand);
  EXPECT_EQ(budget.layout.groups.at(0).num_pages, 3 * (512 / 32 + 2));
  EXPECT_EQ(budget.layout.groups.at(0).window, 512);
  EXPECT_EQ(budget.layout.groups.at(1).num_pages, 3 * 2048 / 32);
  for (std::int64_t bytes = 400'000; bytes < 20'000'000; bytes = bytes * 5 / 4) {
    const KvBudget stated = plan_kv({.max_sequences = 64, .kv_memory_bytes = bytes}, demand);
    EXPECT_LE(bytes_of(stated, demand), bytes);
    const std::int64_t wanted =
        std::min(bytes, 64 * bytes_of(plan_kv({.max_sequences = 1}, demand), demand));
    EXPECT_GE(bytes_of(stated, demand), wanted - 32 * (5000 + 1000)) << bytes;
    EXPECT_LE(stated.context_length, stated.layout.groups.at(1).num_pages * 32);
  }
}

TEST(KvBudget, TheContextMayBeShortened) {
  EXPECT_EQ(plan_kv({.context_length = 100}, kDemand).context_length, 100);
}

TEST(KvBudget, RefusesWhatCannotBe) {
  EXPECT_THROW((void)plan_kv({.context_length = 2049}, kDemand), Error);
  EXPECT_THROW((void)plan_kv({.context_length = -1}, kDemand), Error);
  EXPECT_THROW(
      (void)plan_kv({.context_length = 2048, .kv_memory_bytes = 1'000'000}, kDemand), Error
  );
  EXPECT_THROW((void)plan_kv({.kv_memory_bytes = 1000}, kDemand), Error);
  EXPECT_THROW((void)plan_kv({.kv_memory_bytes = -1}, kDemand), Error);
  EXPECT_THROW((void)plan_kv({.kv_memory_bytes = std::int64_t{1} << 35}, kDemand), Error);
  EXPECT_THROW(
      (void
      )plan_kv({}, demand_of({{.bytes_per_token = std::numeric_limits<std::int64_t>::max() / 2}})),
      Error
  );
  EXPECT_THROW((void)plan_kv({}, demand_of({})), Error);
}

}  // namespace
}  // namespace mlxs
