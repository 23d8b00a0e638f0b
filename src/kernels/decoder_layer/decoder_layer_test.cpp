// Properties of the composition that no single operation shows; its numbers are tested against
// Transformers in model/.
#include "kernels/decoder_layer/decoder_layer.h"

#include <gtest/gtest.h>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

constexpr int kHidden = 12;
constexpr int kHeadDim = 4;

Linear random_linear(int num_rows, int num_columns, std::uint32_t seed) {
  return Linear{.weight = random_array({num_rows, num_columns}, seed)};
}

DecoderLayer random_layer() {
  return DecoderLayer{
      .attention_spec = {.num_heads = 4, .num_kv_heads = 2, .head_dim = kHeadDim, .scale = 0.5F},
      .mlp_spec = {.intermediate_size = 20},
      .norm_eps = 1e-5F,
      .attention =
          {.q = random_linear(16, kHidden, 1),
           .k = random_linear(8, kHidden, 2),
           .v = random_linear(8, kHidden, 3),
           .o = random_linear(kHidden, 16, 4),
           .q_norm = random_array({kHeadDim}, 5),
           .k_norm = random_array({kHeadDim}, 6),
           .pre_norm = random_array({kHidden}, 7),
           .post_norm = random_array({kHidden}, 8)},
      .mlp =
          {.gate = random_linear(20, kHidden, 9),
           .up = random_linear(20, kHidden, 10),
           .down = random_linear(kHidden, 20, 11),
           .pre_norm = random_array({kHidden}, 12)}
  };
}

KvLayer empty_pool() {
  return {.keys = mx::zeros({8, 4, 2, kHeadDim}), .values = mx::zeros({8, 4, 2, kHeadDim})};
}

mx::array run(const mx::array& x, const std::vector<SequenceView>& sequences, KvLayer& pool) {
  const RopeSpec rope{.num_dims = 4, .inv_freq = {1.0F, 0.1F}};
  const BatchView batch =
      make_batch_view(sequences, {.page_size = 4, .groups = {{.num_pages = 8}}});
  const RopeTables tables = rope_tables(batch_positions(batch), batch.long_rope_rows, rope);
  return decoder_layer(x, random_layer(), batch, &tables, pool);
}

TEST(DecoderLayer, ChunksAndDecodesEqualOnePrefill) {
  const mx::array x = random_array({7, kHidden}, 20);
  KvLayer whole_pool = empty_pool();
  const std::vector<float> whole =
      host_values(run(x, {{.num_rows = 7, .pages = {{3, 1}}}}, whole_pool));

  KvLayer pool = empty_pool();
  std::vector<float> parts;
  for (const auto& [first, count] : std::vector<std::pair<int, int>>{{0, 3}, {3, 3}, {6, 1}}) {
    const mx::array rows = mx::slice(x, {first, 0}, {first + count, kHidden});
    const SequenceView sequence{.num_rows = count, .context_length = first, .pages = {{3, 1}}};
    const std::vector<float> part = host_values(run(rows, {sequence}, pool));
    parts.insert(parts.end(), part.begin(), part.end());
  }
  expect_close(parts, whole, 1e-5F);
}

TEST(DecoderLayer, SequencesOfABatchDoNotSeeEachOther) {
  const mx::array x = random_array({5, kHidden}, 21);
  KvLayer shared_pool = empty_pool();
  const mx::array together =
      run(x,
          {{.first_row = 0, .num_rows = 2, .pages = {{0}}},
           {.first_row = 2, .num_rows = 3, .pages = {{1}}}},
          shared_pool);
  KvLayer pool = empty_pool();
  const mx::array alone =
      run(mx::slice(x, {2, 0}, {5, kHidden}), {{.num_rows = 3, .pages = {{6}}}}, pool);
  expect_close(mx::slice(together, {2, 0}, {5, kHidden}), alone, 1e-5F);
}

}  // namespace
}  // namespace mlxs
