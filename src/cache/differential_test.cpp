// Random actions over several layouts, on a pretended device that detects any wrong sharing.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "cache/page_layout.h"
#include "cache/testing/model_cache.h"
#include "cache/testing/test_scale.h"

namespace mlxs {
namespace {

using testing::ModelCache;
using testing::scaled_count;

std::vector<CacheLayout> layouts() {
  return {
      {.page_size = 4, .groups = {{.num_pages = 40}}},
      {.page_size = 4, .groups = {{.num_pages = 12}}},
      {.page_size = 1, .groups = {{.num_pages = 50}}},
      {.page_size = 16, .groups = {{.num_pages = 30}}},
      {.page_size = 4, .groups = {{.num_pages = 40}, {.num_pages = 30, .window = 6}}},
      {.page_size = 4, .groups = {{.num_pages = 30, .window = 9}}},
      {.page_size = 4, .groups = {{.num_pages = 60, .window = 1}, {.num_pages = 25}}},
      {.page_size = 3,
       .groups = {{.num_pages = 30, .window = 3}, {.num_pages = 50}, {.num_pages = 40, .window = 8}}
      },
  };
}

class Differential : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Differential, RandomActionsNeverShareWronglyOrLosePages) {
  const CacheLayout layout = layouts().at(GetParam());
  std::uint64_t num_cached = 0;
  std::uint64_t num_refused = 0;
  std::uint64_t num_copies = 0;
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    ModelCache model(layout);
    const std::size_t num_actions = scaled_count(20'000);
    for (std::size_t i = 0; i < num_actions; ++i) {
      SCOPED_TRACE(::testing::Message() << "seed " << seed << ", action " << i);
      ASSERT_NO_THROW({
        model.act([&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); }
        );
        model.check();
      });
    }
    num_cached += model.num_cached_tokens();
    num_refused += model.num_refused();
    num_copies += model.num_copies();
  }
  // The actions reach what they are meant to test.
  EXPECT_GT(num_cached, 100U);
  EXPECT_GT(num_refused, 10U);
  EXPECT_TRUE(num_copies > 10 || layout.page_size == 1);
}

INSTANTIATE_TEST_SUITE_P(Layouts, Differential, ::testing::Range<std::size_t>(0, 8));

}  // namespace
}  // namespace mlxs
