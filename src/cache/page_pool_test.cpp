#include "cache/page_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <stdexcept>

namespace mlxs {
namespace {

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(4);
  std::set<std::int32_t> pages;
  for (int i = 0; i < 4; ++i) pages.insert(pool.allocate().value());
  EXPECT_EQ(pages, (std::set<std::int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_FALSE(pool.allocate());
}

TEST(PagePool, FreesAPageWithItsLastHolder) {
  PagePool pool(2);
  const std::int32_t page = pool.allocate().value();
  pool.retain(page);
  EXPECT_EQ(pool.ref_count(page), 2);
  EXPECT_EQ(pool.release(page), 1);
  EXPECT_EQ(pool.num_free(), 1);
  EXPECT_EQ(pool.release(page), 0);
  EXPECT_EQ(pool.num_free(), 2);
  EXPECT_EQ(pool.ref_count(page), 0);
}

TEST(PagePool, RefusesWhatIsNotHeld) {
  PagePool pool(2);
  const std::int32_t page = pool.allocate().value();
  pool.release(page);
  EXPECT_THROW(pool.release(page), std::logic_error);
  EXPECT_THROW(pool.retain(page), std::logic_error);
  EXPECT_THROW(pool.release(7), std::logic_error);
  EXPECT_THROW(pool.retain(-1), std::logic_error);
  EXPECT_THROW((void)pool.ref_count(2), std::logic_error);
}

TEST(PagePool, RandomHoldersNeverOverlapOrLeak) {
  std::mt19937 random(7);
  PagePool pool(64);
  std::map<std::int32_t, int> counts;
  for (int step = 0; step < 20000; ++step) {
    const auto action = random() % 3;
    if (action == 0) {
      const auto page = pool.allocate();
      ASSERT_EQ(page.has_value(), counts.size() < 64U);
      if (page) {
        ASSERT_TRUE(counts.emplace(*page, 1).second);
      }
    } else if (!counts.empty()) {
      const auto held = std::next(counts.begin(), static_cast<long>(random() % counts.size()));
      if (action == 1) {
        pool.retain(held->first);
        ++held->second;
      } else {
        ASSERT_EQ(pool.release(held->first), --held->second);
        if (held->second == 0) counts.erase(held);
      }
    }
    ASSERT_EQ(static_cast<std::size_t>(pool.num_free()) + counts.size(), 64U);
  }
}

}  // namespace
}  // namespace mlxs
