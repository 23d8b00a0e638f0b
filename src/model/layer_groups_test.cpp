// Groups of a model with and without windows, and what their tokens take.
#include "model/layer_groups.h"

#include <gtest/gtest.h>

namespace mlxs {
namespace {

ModelSpec spec_with_windows(const std::vector<int>& windows) {
  ModelSpec spec;
  spec.context_length = 100;
  for (const int window : windows) {
    LayerSpec layer;
    layer.attention = {.num_heads = 4, .num_kv_heads = 2, .head_dim = 8, .window = window};
    spec.layers.push_back(layer);
  }
  return spec;
}

TEST(LayerGroups, GathersLayersOfOneWindow) {
  const auto groups = layer_groups(spec_with_windows({16, 16, 0, 16, 0}), KvType::float32);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].window, 16);
  EXPECT_EQ(groups[0].layers, (std::vector<int>{0, 1, 3}));
  EXPECT_EQ(groups[0].bytes_per_token, 3 * 2 * 2 * 8 * 4);
  EXPECT_EQ(groups[1].window, 0);
  EXPECT_EQ(groups[1].layers, (std::vector<int>{2, 4}));
}

TEST(LayerGroups, TakesAWindowBeyondTheContextForNone) {
  const auto groups = layer_groups(spec_with_windows({0, 100, 200}), KvType::float32);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].window, 0);
}

TEST(LayerGroups, CountsTheBytesOfEveryType) {
  const ModelSpec spec = spec_with_windows({0});
  EXPECT_EQ(layer_groups(spec, KvType::float16)[0].bytes_per_token, 64);
  EXPECT_EQ(layer_groups(spec, KvType::bfloat16)[0].bytes_per_token, 64);
  EXPECT_EQ(layer_groups(spec, KvType::int8)[0].bytes_per_token, 2 * 2 * (8 + 4));
}

}  // namespace
}  // namespace mlxs
