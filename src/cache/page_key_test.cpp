#include "cache/page_key.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

#include "cache/evicted_keys.h"

namespace mlxs {
namespace {

TEST(PageKey, DependsOnTheSaltAndEveryTokenBefore) {
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4, 5, 6, 7};
  std::set<PageKey> keys;
  for (const std::uint64_t salt : {0U, 1U}) {
    for (const PageKey& key : page_keys(tokens, salt, 2)) keys.insert(key);
    keys.insert(root_page_key(salt));
  }
  for (std::size_t i = 0; i < 6; ++i) {
    auto changed = tokens;
    ++changed[i];
    keys.insert(page_keys(changed, 0, 2).back());
  }
  EXPECT_EQ(keys.size(), 2U * 4U + 6U);
  EXPECT_EQ(page_keys(tokens, 0, 2).size(), 3U);
  EXPECT_TRUE(page_keys({}, 0, 2).empty());
}

// Files on disk are found by them after an update, too.
TEST(PageKey, StaysTheSame) {
  const std::vector<std::int32_t> tokens = {1, 2, 3, 4};
  const PageKey key = page_keys(tokens, 7, 4).at(0);
  EXPECT_EQ(key.high, 16188917393970807417U);
  EXPECT_EQ(key.low, 11556266716026958002U);
}

TEST(PageKey, OnlyTheEmptySaltIsNone) {
  EXPECT_EQ(salt_of(""), 0U);
  EXPECT_NE(salt_of("a"), 0U);
  EXPECT_NE(salt_of("a"), salt_of("b"));
}

TEST(EvictedKeys, ForgetsTheOldest) {
  EvictedKeys evicted(2);
  const auto key = [](std::uint64_t low) { return PageKey{.low = low}; };
  evicted.remember(key(1));
  evicted.remember(key(2));
  evicted.remember(key(2));
  EXPECT_TRUE(evicted.contains(key(1)));
  evicted.remember(key(3));
  EXPECT_FALSE(evicted.contains(key(1)));
  EXPECT_TRUE(evicted.contains(key(2)));
  EXPECT_TRUE(evicted.contains(key(3)));
  EXPECT_EQ(evicted.size(), 2U);
}

}  // namespace
}  // namespace mlxs
