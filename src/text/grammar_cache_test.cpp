// What the cache holds, and what it lets go.
#include "text/grammar_cache.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mlx_serving/error.h"
#include "text/grammar.h"
#include "text/testing/grammar_texts.h"

namespace mlxs {
namespace {

using testing::default_vocabulary;

GrammarSpec number(int value) {
  return {.kind = GrammarKind::choice, .text = "[\"" + std::to_string(value) + "\"]"};
}

TEST(GrammarCacheTest, a_grammar_is_compiled_once) {
  GrammarCache cache(default_vocabulary(), std::size_t{1} << 30);
  const std::shared_ptr<const Grammar> first = cache.get(number(1));
  EXPECT_EQ(cache.get(number(1)), first);
  EXPECT_NE(cache.get(number(2)), first);
  EXPECT_NE(cache.get({.kind = GrammarKind::regex, .text = number(1).text}), first);
}

TEST(GrammarCacheTest, the_least_recently_used_goes_first) {
  const std::size_t one = Grammar::compile(default_vocabulary(), number(1)).num_bytes();
  GrammarCache cache(default_vocabulary(), 2 * one);
  const std::shared_ptr<const Grammar> first = cache.get(number(1));
  const std::shared_ptr<const Grammar> second = cache.get(number(2));
  EXPECT_EQ(cache.get(number(1)), first);
  (void)cache.get(number(3));
  EXPECT_EQ(cache.get(number(1)), first);
  EXPECT_NE(cache.get(number(2)), second);
  for (int i = 0; i < 20; ++i) (void)cache.get(number(i));
  EXPECT_LE(cache.num_bytes(), 2 * one);
}

TEST(GrammarCacheTest, what_is_too_large_is_not_held) {
  GrammarCache cache(default_vocabulary(), 1);
  EXPECT_NE(cache.get(number(1)), nullptr);
  EXPECT_EQ(cache.num_bytes(), 0U);
}

TEST(GrammarCacheTest, nothing_is_held_of_a_failure) {
  GrammarCache cache(default_vocabulary(), std::size_t{1} << 30);
  EXPECT_THROW((void)cache.get({.kind = GrammarKind::regex, .text = "("}), Error);
  EXPECT_EQ(cache.num_bytes(), 0U);
}

TEST(GrammarCacheTest, many_threads_may_ask) {
  GrammarCache cache(default_vocabulary(), std::size_t{1} << 20);
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&cache, thread] {
      for (int i = 0; i < 8; ++i) EXPECT_NE(cache.get(number((i + thread) % 6)), nullptr);
    });
}

}  // namespace
}  // namespace mlxs
