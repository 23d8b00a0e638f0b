// The fused layer and output head against the plain composition, with every option of a layer.
#include "kernels/decoder_layer/decoder_layer_cpu.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/decoder_layer/output_head.h"
#include "kernels/linear/linear_cpu.h"
#include "kernels/testing/arrays.h"
#include "kernels/testing/cpu_pages.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

constexpr int kHidden = 96;
constexpr int kHeadDim = 16;
constexpr int kRows = 12;

struct Features {
  bool has_biases = false;
  bool has_qk_norm = false;
  bool has_pre_norm = true;
  bool has_post_norm = false;
  Activation activation = Activation::silu;
  KvType type = KvType::float32;
};

class FusedLayer : public ::testing::TestWithParam<CpuPath> {
 protected:
  Linear weight(int num_rows, int num_columns, std::uint32_t seed, bool has_bias = false) const {
    mx::array values = random_array({num_rows, num_columns}, seed) * mx::array(0.2F);
    values.eval();
    Linear layer{.weight = values};
    if (has_bias) layer.bias = random_array({num_rows}, seed + 100);
    return packed_on(context_, std::move(layer));
  }

  std::optional<mx::array> norm(bool is_there, int size, std::uint32_t seed) const {
    if (!is_there) return std::nullopt;
    return random_array({size}, seed);
  }

  DecoderLayer layer(const Features& features) const {
    const bool biases = features.has_biases;
    return {
        .attention_spec =
            {.num_heads = 4, .num_kv_heads = 2, .head_dim = kHeadDim, .scale = 0.3F, .window = 6},
        .mlp_spec = {.intermediate_size = 160, .activation = features.activation},
        .norm_eps = 1e-5F,
        .attention =
            {.q = weight(4 * kHeadDim, kHidden, 1, biases),
             .k = weight(2 * kHeadDim, kHidden, 2, biases),
             .v = weight(2 * kHeadDim, kHidden, 3, biases),
             .o = weight(kHidden, 4 * kHeadDim, 4, biases),
             .q_norm = norm(features.has_qk_norm, kHeadDim, 5),
             .k_norm = norm(features.has_qk_norm, kHeadDim, 6),
             .pre_norm = norm(features.has_pre_norm, kHidden, 7),
             .post_norm = norm(features.has_post_norm, kHidden, 8)},
        .mlp =
            {.gate = weight(160, kHidden, 9, biases),
             .up = weight(160, kHidden, 10, biases),
             .down = weight(kHidden, 160, 11, biases),
             .pre_norm = norm(features.has_pre_norm, kHidden, 12),
             .post_norm = norm(features.has_post_norm, kHidden, 13)}
    };
  }

  static KvLayer pool(KvType type) {
    const mx::Shape shape{12, 4, 2, kHeadDim};
    KvLayer result{
        .keys = mx::zeros(shape, kv_dtype(type)), .values = mx::zeros(shape, kv_dtype(type))
    };
    if (type == KvType::int8) {
      result.key_scales = mx::zeros({12, 4, 2, 1});
      result.value_scales = mx::zeros({12, 4, 2, 1});
    }
    return result;
  }

  static std::vector<SequenceView> sequences() {
    return {
        {.first_row = 0, .num_rows = 7, .context_length = 0, .pages = {{3, 1}}},
        {.first_row = 7, .num_rows = 1, .context_length = 9, .pages = {{-1, 5, 4}}},
        {.first_row = 8, .num_rows = 4, .context_length = 2, .pages = {{6, 7}}}
    };
  }

  void expect_equal(const Features& features) const {
    const DecoderLayer reference = layer(features);
    const auto fused = make_cpu_layer(reference);
    ASSERT_NE(fused, nullptr);
    const BatchView batch =
        make_batch_view(sequences(), {.page_size = 4, .groups = {{.num_pages = 12, .window = 6}}});
    const RopeSpec rope{.num_dims = 8, .inv_freq = {1.0F, 0.3F, 0.1F, 0.01F}};
    const RopeTables tables = rope_tables(batch_positions(batch), batch.long_rope_rows, rope);
    const mx::array x = random_array({kRows, kHidden}, 20);
    KvLayer expected_pool = pool(features.type);
    KvLayer actual_pool = pool(features.type);
    const mx::array expected =
        decoder_layer_reference(x, reference, {batch, &tables}, expected_pool);
    const mx::array actual = decoder_layer_cpu(x, fused, {batch, &tables}, actual_pool);
    // The half types round where the products differ in their last place.
    const float tolerance = features.type == KvType::float32 ? 1e-4F : 3e-2F;
    expect_close(actual, expected, tolerance);
    if (features.type != KvType::int8) {
      const KvLayer arranged = testing::cpu_pages(expected_pool);
      expect_close(actual_pool.keys, arranged.keys, tolerance);
      expect_close(actual_pool.values, arranged.values, tolerance);
    }
  }

  std::shared_ptr<CpuContext> context_ =
      std::make_shared<CpuContext>(CpuOptions{.num_threads = 2, .path = GetParam()});
};

TEST_P(FusedLayer, MatchesThePlainComposition) {
  const std::vector<Features> cases{
      {},
      {.has_biases = true},
      {.has_qk_norm = true, .has_post_norm = true, .activation = Activation::gelu_tanh},
      {.has_pre_norm = false, .has_post_norm = true},
      {.type = KvType::bfloat16},
      {.type = KvType::float16},
      {.type = KvType::int8}
  };
  for (const Features& features : cases) expect_equal(features);
}

TEST_P(FusedLayer, WritesThePoolInPlace) {
  const auto fused = make_cpu_layer(layer({}));
  KvLayer kept = pool(KvType::float32);
  mx::eval(kept.keys, kept.values);
  const float* address = kept.keys.data<float>();
  const BatchView batch = make_batch_view(
      {{.num_rows = 1, .pages = {{2}}}},
      {.page_size = 4, .groups = {{.num_pages = 12, .window = 6}}}
  );
  KvLayer successor = kept;
  mx::array out = decoder_layer_cpu(random_array({1, kHidden}, 1), fused, {batch}, successor);
  out.eval();
  EXPECT_EQ(successor.keys.data<float>(), address);
  EXPECT_NE(address[2 * 4 * 2 * kHeadDim], 0.0F);
}

TEST_P(FusedLayer, IsNotThereForWeightsThatAreNotPacked) {
  DecoderLayer plain = layer({});
  plain.mlp.down = Linear{.weight = random_array({kHidden, 160}, 1)};
  EXPECT_EQ(make_cpu_layer(plain), nullptr);
}

TEST_P(FusedLayer, HeadMatchesThePlainComposition) {
  for (const float soft_cap : {0.0F, 0.7F}) {
    const OutputHead head{
        .norm = random_array({kHidden}, 1),
        .output = weight(1001, kHidden, 2),
        .norm_eps = 1e-5F,
        .soft_cap = soft_cap
    };
    for (const int num_rows : {1, 5}) {
      const mx::array hidden = random_array({num_rows, kHidden}, 3);
      expect_close(output_head(hidden, head), output_head_reference(hidden, head), 2e-5F);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Paths,
    FusedLayer,
    ::testing::ValuesIn(available_cpu_paths()),
    [](const auto& instance) { return std::string(cpu_path_name(instance.param)); }
);

}  // namespace
}  // namespace mlxs
