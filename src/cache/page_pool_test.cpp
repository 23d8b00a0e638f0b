#include "cache/page_pool.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>

namespace mlxs {
namespace {

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(4);
  const auto pages = pool.allocate(4);
  ASSERT_TRUE(pages);
  EXPECT_EQ(
      std::set<std::int32_t>(pages->begin(), pages->end()), (std::set<std::int32_t>{0, 1, 2, 3})
  );
  EXPECT_EQ(pool.num_free(), 0);
}

TEST(PagePool, TakesNothingWhenThereAreTooFew) {
  PagePool pool(3);
  EXPECT_FALSE(pool.allocate(4));
  EXPECT_EQ(pool.num_free(), 3);
  EXPECT_FALSE(pool.allocate(-1));
}

TEST(PagePool, RefusesToReleaseWhatIsNotHeld) {
  PagePool pool(2);
  const auto pages = pool.allocate(1);
  pool.release(*pages);
  EXPECT_THROW(pool.release(*pages), std::logic_error);
  const std::int32_t unknown = 7;
  EXPECT_THROW(pool.release({&unknown, 1}), std::logic_error);
}

TEST(PagePool, RandomAllocationsNeverOverlapOrLeak) {
  std::mt19937 random(7);
  PagePool pool(64);
  std::vector<std::vector<std::int32_t>> held;
  std::set<std::int32_t> used;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0) {
      auto pages = pool.allocate(static_cast<int>(random() % 9));
      if (!pages) continue;
      for (const auto page : *pages) ASSERT_TRUE(used.insert(page).second);
      held.push_back(std::move(*pages));
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      for (const auto page : held.back()) used.erase(page);
      pool.release(held.back());
      held.pop_back();
    }
    ASSERT_EQ(static_cast<std::size_t>(pool.num_free()) + used.size(), 64U);
  }
}

}  // namespace
}  // namespace mlxs
