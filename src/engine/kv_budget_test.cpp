#include "engine/kv_budget.h"

#include <gtest/gtest.h>

#include <limits>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr KvDemand kDemand{
    .bytes_per_token = 1000, .model_context = 2048, .memory_bytes = std::int64_t{1} << 34
};

TEST(KvBudget, HoldsEverySequenceWhereMemoryAllows) {
  const KvBudget budget = plan_kv({.max_sequences = 4}, kDemand);
  EXPECT_EQ(budget.context_length, 2048);
  EXPECT_EQ(budget.num_pages * budget.page_size, 4 * 2048);
}

TEST(KvBudget, NeverExceedsTheStatedMemory) {
  const KvBudget budget = plan_kv({.max_sequences = 4, .kv_memory_bytes = 1'000'000}, kDemand);
  EXPECT_EQ(budget.num_pages, 31);
  EXPECT_EQ(budget.context_length, 31 * 32);
  const KvBudget share = plan_kv(
      {.max_sequences = 64},
      {.bytes_per_token = 1000, .model_context = 2048, .memory_bytes = 12'800'000}
  );
  EXPECT_EQ(share.num_pages, 100);
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
  KvDemand hostile = kDemand;
  hostile.bytes_per_token = std::numeric_limits<std::int64_t>::max() / 2;
  EXPECT_THROW((void)plan_kv({}, hostile), Error);
}

}  // namespace
}  // namespace mlxs
