// Bytes that come back, pages that stay untouched, and buffers that do not move.
#include "kernels/page_copy/page_copy.h"

#include <gtest/gtest.h>
#include <mlx/transforms.h>
#include <mlx/utils.h>

#include <stdexcept>
#include <vector>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::random_array;

constexpr int kNumPages = 5;

mx::array evaluated(mx::array x) {
  x.eval();
  return x;
}

// Two layers in group 0, one of them quantized, and one in group 1.
KvPages random_pages() {
  const mx::Shape shape{kNumPages, 4, 2, 8};
  const mx::Shape scale_shape{kNumPages, 4, 2, 1};
  const auto layer = [&](std::uint32_t seed, mx::Dtype dtype, int group) {
    return KvLayer{
        .keys = evaluated(random_array(shape, seed, dtype)),
        .values = evaluated(random_array(shape, seed + 1, dtype)),
        .group = group
    };
  };
  KvPages pages{
      .shape = {.page_size = 4, .groups = {{.num_pages = kNumPages}, {.num_pages = kNumPages}}},
      .layers = {layer(1, mx::float32, 0), layer(3, mx::bfloat16, 1), layer(5, mx::float32, 0)}
  };
  KvLayer& quantized = pages.layers[2];
  quantized.keys = evaluated(mx::astype(quantized.keys * mx::array(100.0F), mx::int8));
  quantized.values = evaluated(mx::astype(quantized.values * mx::array(100.0F), mx::int8));
  quantized.key_scales = evaluated(random_array(scale_shape, 7));
  quantized.value_scales = evaluated(random_array(scale_shape, 8));
  return pages;
}

std::vector<float> page_values(const KvPages& pages, std::size_t array, int page) {
  return host_values(mx::take(pages.arrays()[array], mx::array({page}, mx::int32), 0));
}

TEST(PageCopy, CopiesWithinAGroupInPlace) {
  const KvPages before = random_pages();
  KvPages pages = random_pages();
  const float* address = pages.layers[0].keys.data<float>();
  const std::vector<PagePair> pairs{{.from = 1, .to = 3}, {.from = 0, .to = 2}};
  copy_pages(pages, 0, pairs);
  mx::eval(pages.arrays());
  EXPECT_EQ(pages.layers[0].keys.data<float>(), address);
  const std::vector<int> group_0{0, 1, 4, 5, 6, 7};
  const std::vector<int> expected{0, 1, 0, 1, 4};
  for (const int array : group_0) {
    const auto at = static_cast<std::size_t>(array);
    for (int page = 0; page < kNumPages; ++page) {
      EXPECT_EQ(
          page_values(pages, at, page),
          page_values(before, at, expected[static_cast<std::size_t>(page)])
      );
    }
  }
  for (const std::size_t array : {2U, 3U})
    EXPECT_EQ(page_values(pages, array, 3), page_values(before, array, 3));
}

TEST(PageCopy, WritesWhatWasRead) {
  for (const int group : {0, 1}) {
    const KvPages before = random_pages();
    KvPages pages = random_pages();
    const mx::array content = evaluated(read_page(pages, group, 4));
    EXPECT_EQ(content.size(), static_cast<std::size_t>(page_bytes(pages, group)));
    write_page(pages, group, 0, content);
    mx::eval(pages.arrays());
    const auto all = before.arrays();
    for (std::size_t array = 0; array < all.size(); ++array) {
      const bool is_in_group = (array == 2 || array == 3) == (group == 1);
      for (int page = 0; page < kNumPages; ++page) {
        const int from = is_in_group && page == 0 ? 4 : page;
        EXPECT_EQ(page_values(pages, array, page), page_values(before, array, from));
      }
    }
  }
}

TEST(PageCopy, CountsThePagesBytes) {
  const KvPages pages = random_pages();
  EXPECT_EQ(page_bytes(pages, 0), 2 * 64 * 4 + 2 * 64 + 2 * 8 * 4);
  EXPECT_EQ(page_bytes(pages, 1), 2 * 64 * 2);
}

TEST(PageCopy, RefusesWhatIsNotThere) {
  KvPages pages = random_pages();
  const std::vector<PagePair> outside{{.from = 0, .to = kNumPages}};
  EXPECT_THROW(copy_pages(pages, 0, outside), std::out_of_range);
  EXPECT_THROW((void)read_page(pages, 2, 0), std::out_of_range);
  EXPECT_THROW((void)read_page(pages, 0, -1), std::out_of_range);
  EXPECT_THROW(write_page(pages, 0, 0, mx::zeros({3}, mx::uint8)), std::invalid_argument);
}

}  // namespace
}  // namespace mlxs
