#include "cache/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/page_layout.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using Tokens = std::vector<std::int32_t>;

// `count` tokens from `first` on.
Tokens text(int count, std::int32_t first = 0) {
  Tokens tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Pages of 4 tokens.
KvCache::Options options(std::vector<PageGroup> groups) {
  return {.layout = {.page_size = 4, .groups = std::move(groups)}};
}

// Starts a sequence and computes all of `tokens`. RETURNS: how many were cached.
int compute(KvCache& cache, SequenceId id, const Tokens& tokens, std::uint64_t salt = 0) {
  const int cached = cache.start(id, tokens, salt, UseCache::yes);
  std::vector<PageCopy> copies;
  const int length = static_cast<int>(tokens.size());
  EXPECT_TRUE(cache.grow(id, length, copies));
  cache.mark_computed(id, tokens, length);
  cache.check();
  return cached;
}

int compute_and_stop(KvCache& cache, SequenceId id, const Tokens& tokens, std::uint64_t salt = 0) {
  const int cached = compute(cache, id, tokens, salt);
  cache.stop(id, Keep::cached);
  cache.check();
  return cached;
}

void expect_counts(const KvCache& cache, int used, int cached, int group = 0) {
  const KvCache::Counts counts = cache.counts(group);
  EXPECT_EQ(counts.used, used);
  EXPECT_EQ(counts.cached, cached);
  EXPECT_EQ(counts.free, counts.num_pages - used - cached);
}

void expect_miss(const KvCache::Lookup& lookup, MissReason miss, int first_differing_token) {
  EXPECT_EQ(lookup.miss, miss);
  EXPECT_EQ(lookup.first_differing_token, first_differing_token);
}

TEST(KvCache, RefusesLayoutsThatHoldNothing) {
  const auto code = [](const KvCache::Options& given) {
    try {
      const KvCache cache(given);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::engine_error;
  };
  EXPECT_EQ(code({}), ErrorCode::invalid_config);
  EXPECT_EQ(code(options({{.num_pages = 0}})), ErrorCode::invalid_config);
  EXPECT_EQ(code(options({{.num_pages = 1, .window = -1}})), ErrorCode::invalid_config);
  EXPECT_EQ(
      code({.layout = {.page_size = 0, .groups = {{.num_pages = 1}}}}), ErrorCode::invalid_config
  );
}

TEST(KvCache, FindsWhatAnotherSequenceComputed) {
  KvCache cache(options({{.num_pages = 10}}));
  EXPECT_EQ(compute_and_stop(cache, 1, text(9)), 0);
  expect_counts(cache, 0, 2);
  EXPECT_EQ(cache.start(2, text(9) + text(3, 50), 0, UseCache::yes), 8);
  expect_counts(cache, 2, 0);
  cache.stop(2, Keep::cached);
  expect_counts(cache, 0, 2);
  cache.clear();
  expect_counts(cache, 0, 0);
  cache.check();
}

TEST(KvCache, SharesWithASequenceThatStillRuns) {
  KvCache cache(options({{.num_pages = 10}}));
  compute(cache, 1, text(8) + text(2, 50));
  EXPECT_EQ(compute(cache, 2, text(8) + text(2, 60)), 8);
  expect_counts(cache, 4, 0);
  EXPECT_EQ(cache.tables(1).groups[0][1], cache.tables(2).groups[0][1]);
  EXPECT_NE(cache.tables(1).groups[0][2], cache.tables(2).groups[0][2]);
}

TEST(KvCache, LeavesOneTokenToRunAndCopiesThePageItWrites) {
  KvCache cache(options({{.num_pages = 10}}));
  compute_and_stop(cache, 1, text(8));
  EXPECT_EQ(cache.start(2, text(8), 0, UseCache::yes), 7);
  const std::int32_t shared = cache.tables(2).groups[0][1];
  EXPECT_EQ(cache.pages_needed(2, 8, 0), 1);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(2, 8, copies));
  ASSERT_EQ(copies.size(), 1U);
  EXPECT_EQ(copies[0], (PageCopy{.group = 0, .from = shared, .to = cache.tables(2).groups[0][1]}));
  EXPECT_NE(copies[0].to, shared);
  expect_counts(cache, 2, 1);
  // Computed again, it is the page that was there already.
  cache.mark_computed(2, text(8), 8);
  EXPECT_EQ(cache.tables(2).groups[0][1], shared);
  expect_counts(cache, 2, 0);
  cache.check();
}

TEST(KvCache, SharesTheBeginningOfAPage) {
  KvCache cache(options({{.num_pages = 10}}));
  compute_and_stop(cache, 1, text(8));
  const Tokens tokens = text(6) + text(6, 50);
  EXPECT_EQ(cache.look_up(tokens, 0).cached_tokens, 6);
  expect_miss(cache.look_up(tokens, 0), MissReason::diverged, 6);
  EXPECT_EQ(compute(cache, 2, tokens), 6);
  EXPECT_EQ(cache.look_up(text(8) + text(1), 0).cached_tokens, 8);
  EXPECT_EQ(cache.look_up(tokens + text(1), 0).cached_tokens, 12);
}

TEST(KvCache, KeepsSaltsApart) {
  KvCache cache(options({{.num_pages = 20}}));
  compute_and_stop(cache, 1, text(8));
  EXPECT_EQ(compute_and_stop(cache, 2, text(8), 5), 0);
  EXPECT_EQ(compute_and_stop(cache, 3, text(8), 6), 0);
  EXPECT_EQ(cache.look_up(text(8), 5).cached_tokens, 7);
  expect_miss(cache.look_up(text(8), 7), MissReason::salted, -1);
  expect_miss(cache.look_up(text(8, 1), 5), MissReason::first_token, 0);
}

TEST(KvCache, SaysHowFarAnotherSequenceIsComputing) {
  KvCache cache(options({{.num_pages = 20}}));
  compute_and_stop(cache, 1, text(4));
  EXPECT_EQ(cache.start(2, text(14), 0, UseCache::yes), 4);
  const KvCache::Lookup equal = cache.look_up(text(14), 0);
  EXPECT_EQ(equal.cached_tokens, 4);
  EXPECT_EQ(equal.in_flight_tokens, 8);
  EXPECT_EQ(cache.look_up(text(12), 0).in_flight_tokens, 7);
  EXPECT_EQ(cache.look_up(text(8) + text(8, 50), 0).in_flight_tokens, 4);
  EXPECT_EQ(cache.look_up(text(14), 1).in_flight_tokens, 0);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(2, 9, copies));
  cache.mark_computed(2, text(14), 9);
  EXPECT_EQ(cache.look_up(text(14), 0).cached_tokens, 8);
  EXPECT_EQ(cache.look_up(text(14), 0).in_flight_tokens, 4);
  cache.stop(2, Keep::cached);
  EXPECT_EQ(cache.look_up(text(14), 0).cached_tokens, 8);
  EXPECT_EQ(cache.look_up(text(14), 0).in_flight_tokens, 0);
  cache.check();
}

TEST(KvCache, AClaimStaysWithItsFirstHolder) {
  KvCache cache(options({{.num_pages = 20}}));
  cache.start(1, text(8), 0, UseCache::yes);
  cache.start(2, text(8) + text(4, 50), 0, UseCache::yes);
  cache.stop(2, Keep::nothing);
  EXPECT_EQ(cache.look_up(text(9), 0).in_flight_tokens, 8);
  cache.start(3, text(8) + text(4, 50), 0, UseCache::yes);
  cache.stop(1, Keep::nothing);
  EXPECT_EQ(cache.look_up(text(9), 0).in_flight_tokens, 0);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(3, 12, copies));
  cache.mark_computed(3, text(8) + text(4, 50), 12);
  EXPECT_EQ(cache.look_up(text(9), 0).cached_tokens, 8);
  cache.check();
}

TEST(KvCache, ThirtyTwoEqualBeginningsAreComputedOnce) {
  KvCache cache({.layout = {.page_size = 32, .groups = {{.num_pages = 100}}}});
  const auto prompt = [](int i) { return text(1024) + text(32, 2000 + 100 * i); };
  cache.start(1, prompt(1), 0, UseCache::yes);
  for (int i = 2; i <= 32; ++i) EXPECT_EQ(cache.look_up(prompt(i), 0).in_flight_tokens, 1024);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(1, 1056, copies));
  cache.mark_computed(1, prompt(1), 1056);
  int num_cached = 0;
  for (int i = 2; i <= 32; ++i) {
    num_cached += compute(cache, static_cast<SequenceId>(i), prompt(i));
  }
  EXPECT_EQ(num_cached, 31 * 1024);
}

TEST(KvCache, SaysWhyItMissed) {
  KvCache cache(options({{.num_pages = 3}}));
  expect_miss(cache.look_up(text(9), 0), MissReason::first_token, 0);
  compute_and_stop(cache, 1, text(8));
  expect_miss(cache.look_up(text(9), 0), MissReason::none, -1);
  expect_miss(cache.look_up(text(8), 0), MissReason::none, -1);
  expect_miss(cache.look_up(text(5) + text(9, 40), 0), MissReason::diverged, 5);
  expect_miss(cache.look_up(text(12), 0), MissReason::diverged, 8);
  expect_miss(cache.look_up(text(9, 3), 0), MissReason::first_token, 0);
  compute_and_stop(cache, 2, text(8, 50));
  expect_miss(cache.look_up(text(9), 0), MissReason::evicted, -1);
  EXPECT_EQ(cache.look_up(text(9), 0).cached_tokens, 4);
  KvCache off({.layout = {.page_size = 4, .groups = {{.num_pages = 3}}}, .prefix_caching = false});
  compute_and_stop(off, 1, text(8));
  expect_miss(off.look_up(text(8), 0), MissReason::disabled, -1);
  expect_counts(off, 0, 0);
}

TEST(KvCache, EvictsWhatWasUsedLeastRecentlyFromItsEnd) {
  KvCache cache(options({{.num_pages = 4}}));
  compute_and_stop(cache, 1, text(8));
  compute_and_stop(cache, 2, text(8, 50));
  EXPECT_EQ(compute_and_stop(cache, 3, text(8)), 7);  // evicts the end of 2's text for its copy
  EXPECT_EQ(cache.look_up(text(9), 0).cached_tokens, 8);
  EXPECT_EQ(cache.look_up(text(9, 50), 0).cached_tokens, 4);
  compute_and_stop(cache, 4, text(8, 70));
  EXPECT_EQ(cache.look_up(text(9), 0).cached_tokens, 8);
  EXPECT_EQ(cache.look_up(text(9, 50), 0).cached_tokens, 0);
}

TEST(KvCache, TakesNothingWhenThereIsNoRoom) {
  KvCache cache(options({{.num_pages = 4}}));
  compute(cache, 1, text(8));
  compute_and_stop(cache, 2, text(4, 50));
  cache.start(3, text(20, 70), 0, UseCache::yes);
  EXPECT_EQ(cache.available(0), 2);
  std::vector<PageCopy> copies;
  EXPECT_FALSE(cache.grow(3, 9, copies));
  expect_counts(cache, 2, 1);
  EXPECT_TRUE(cache.tables(3).groups[0].empty());
  EXPECT_TRUE(cache.grow(3, 8, copies));
  EXPECT_TRUE(cache.grow(3, 8, copies));
  expect_counts(cache, 4, 0);
  EXPECT_FALSE(cache.grow(3, 9, copies));
  cache.check();
}

TEST(KvCache, AWindowFreesThePagesBehindIt) {
  KvCache cache(options({{.num_pages = 20, .window = 6}}));
  cache.start(1, text(30), 0, UseCache::no);
  std::vector<PageCopy> copies;
  for (int end = 5; end <= 30; end += 5) {
    ASSERT_TRUE(cache.grow(1, end, copies));
    cache.mark_computed(1, text(30), end);
    // The next token sees itself and the five before it.
    const auto& table = cache.tables(1).groups[0];
    for (int page = 0; page < pages_for(end, 4); ++page) {
      EXPECT_EQ(table[static_cast<std::size_t>(page)] == kNoPage, page * 4 + 4 <= end - 5);
    }
    EXPECT_LE(cache.counts(0).used, 3);
  }
  cache.check();
}

TEST(KvCache, AWindowNeedsOnlyThePagesThatItSees) {
  KvCache cache(options({{.num_pages = 20}, {.num_pages = 6, .window = 6}}));
  compute_and_stop(cache, 1, text(16));      // leaves 4 pages in each group
  compute_and_stop(cache, 2, text(16, 50));  // takes the window's two oldest pages: 0 and 1
  EXPECT_EQ(cache.counts(1).cached, 6);
  EXPECT_EQ(cache.look_up(text(17), 0).cached_tokens, 16);
  EXPECT_EQ(cache.look_up(text(8) + text(9, 90), 0).cached_tokens, 0);
  expect_miss(cache.look_up(text(8) + text(9, 90), 0), MissReason::evicted, -1);
  EXPECT_EQ(cache.start(3, text(17), 0, UseCache::yes), 16);
  const PageTables& tables = cache.tables(3);
  EXPECT_EQ(std::ranges::count(tables.groups[0], kNoPage), 0);
  EXPECT_EQ(tables.groups[1][1], kNoPage);
  EXPECT_NE(tables.groups[1][2], kNoPage);
  cache.check();
}

TEST(KvCache, APageWithoutWindowTakesItsWindowedOnesAlong) {
  KvCache cache(options({{.num_pages = 2}, {.num_pages = 8, .window = 6}}));
  compute_and_stop(cache, 1, text(8));
  EXPECT_EQ(cache.counts(1).cached, 2);
  compute_and_stop(cache, 2, text(4, 50));
  EXPECT_EQ(cache.counts(1).cached, 2);  // one of each text
  EXPECT_EQ(cache.look_up(text(9), 0).cached_tokens, 4);
}

TEST(KvCache, AForkSharesPagesUntilOneWrites) {
  KvCache cache(options({{.num_pages = 10}}));
  compute(cache, 1, text(6));
  cache.fork(1, 2);
  cache.fork(1, 3);
  expect_counts(cache, 2, 0);
  EXPECT_EQ(cache.num_computed(3), 6);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(2, 7, copies));
  ASSERT_TRUE(cache.grow(1, 7, copies));
  EXPECT_EQ(copies.size(), 2U);
  ASSERT_TRUE(cache.grow(3, 7, copies));  // the only one left
  EXPECT_EQ(copies.size(), 2U);
  expect_counts(cache, 4, 0);
  cache.mark_computed(2, text(6) + text(1, 20), 7);
  cache.check();
  for (const SequenceId id : {1U, 2U, 3U}) cache.stop(id, Keep::cached);
  expect_counts(cache, 0, 1);
}

TEST(KvCache, AFailedSequenceLeavesNothingOfItsOwn) {
  KvCache cache(options({{.num_pages = 20}}));
  compute_and_stop(cache, 1, text(4));
  compute(cache, 2, text(16));
  compute(cache, 3, text(8) + text(4, 50));  // uses a page that 2 brought
  cache.stop(2, Keep::nothing);
  cache.check();
  EXPECT_EQ(cache.look_up(text(17), 0).cached_tokens, 8);
  expect_miss(cache.look_up(text(17), 0), MissReason::diverged, 8);
  cache.stop(3, Keep::nothing);
  EXPECT_EQ(cache.look_up(text(8) + text(4, 50), 0).cached_tokens, 8);
  cache.start(4, text(8, 70), 0, UseCache::yes);
  cache.stop(4, Keep::nothing);
  expect_miss(cache.look_up(text(8, 70), 0), MissReason::first_token, 0);
  cache.check();
}

TEST(KvCache, ASequenceWithoutCacheLeavesNothing) {
  KvCache cache(options({{.num_pages = 20}}));
  compute_and_stop(cache, 1, text(8));
  EXPECT_EQ(cache.start(2, text(12), 0, UseCache::no), 0);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(2, 12, copies));
  cache.mark_computed(2, text(12), 12);
  cache.stop(2, Keep::cached);
  expect_counts(cache, 0, 2);
}

TEST(KvCache, TwoThatComputeTheSameEndWithOnePage) {
  KvCache cache(options({{.num_pages = 20}}));
  cache.start(1, text(9), 0, UseCache::yes);
  cache.start(2, text(9), 0, UseCache::yes);
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(1, 9, copies) && cache.grow(2, 9, copies));
  expect_counts(cache, 6, 0);
  cache.mark_computed(2, text(9), 9);
  cache.mark_computed(1, text(9), 9);
  expect_counts(cache, 4, 0);
  EXPECT_EQ(cache.tables(1).groups[0][1], cache.tables(2).groups[0][1]);
  cache.check();
}

TEST(KvCache, RestoringTakesOnlyThePagesThatAreSeen) {
  KvCache cache(options({{.num_pages = 20}, {.num_pages = 4, .window = 6}}));
  compute_and_stop(cache, 1, text(6));
  EXPECT_EQ(cache.start(2, text(30), 0, UseCache::yes), 4);
  ASSERT_TRUE(cache.restore(2, 26));
  const PageTables& tables = cache.tables(2);
  EXPECT_EQ(std::ranges::count(tables.groups[0], kNoPage), 0);
  EXPECT_EQ(std::ranges::count_if(tables.groups[1], [](auto page) { return page != kNoPage; }), 3);
  cache.mark_computed(2, text(30), 26);
  cache.check();
  EXPECT_EQ(cache.look_up(text(30), 0).cached_tokens, 4);  // token 24 sees 19, which is not there
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(2, 28, copies));
  cache.mark_computed(2, text(30), 28);
  EXPECT_EQ(cache.look_up(text(30), 0).cached_tokens, 28);
  EXPECT_FALSE(cache.restore(2, 4 * 30));
  cache.check();
}

TEST(KvCache, NamesTheMistakesOfItsCaller) {
  KvCache cache(options({{.num_pages = 20}}));
  cache.start(1, text(9), 0, UseCache::yes);
  EXPECT_THROW(cache.start(1, text(9), 0, UseCache::yes), std::logic_error);
  EXPECT_THROW(cache.fork(1, 1), std::logic_error);
  EXPECT_THROW(cache.fork(7, 8), std::logic_error);
  EXPECT_FALSE(cache.contains(8));
  EXPECT_THROW(cache.stop(7, Keep::cached), std::logic_error);
  EXPECT_THROW(cache.mark_computed(1, text(9), 9), std::logic_error);  // it did not grow
  std::vector<PageCopy> copies;
  ASSERT_TRUE(cache.grow(1, 9, copies));
  EXPECT_THROW(cache.mark_computed(1, text(8), 9), std::logic_error);
  cache.mark_computed(1, text(9), 9);
  cache.mark_computed(1, {}, 9);
  EXPECT_EQ(cache.num_computed(1), 9);
  cache.check();
}

TEST(KvCache, AVeryLongTextGoesAwayWithoutRecursion) {
  KvCache cache({.layout = {.page_size = 1, .groups = {{.num_pages = 300'000}}}});
  compute_and_stop(cache, 1, text(300'000));
  EXPECT_EQ(cache.look_up(text(300'000), 0).cached_tokens, 299'999);
}

}  // namespace
}  // namespace mlxs
