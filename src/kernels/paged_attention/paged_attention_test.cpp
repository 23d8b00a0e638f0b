// The ragged batch against a scalar loop in double precision over every feature, alone and
// together.
#include "kernels/paged_attention/paged_attention.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

constexpr int kPageSize = 4;
constexpr int kNumPages = 16;
const PoolShape kShape{.page_size = kPageSize, .groups = {{.num_pages = kNumPages}}};

struct Case {
  std::string name;
  AttentionSpec spec;

  friend void PrintTo(const Case& instance, std::ostream* out) { *out << instance.name; }
};

struct Pool {
  std::vector<float> keys;
  std::vector<float> values;
};

std::size_t slot_of(const SequenceView& sequence, int position) {
  const auto page =
      static_cast<std::size_t>(sequence.pages[0][static_cast<std::size_t>(position / kPageSize)]);
  return page * kPageSize + static_cast<std::size_t>(position % kPageSize);
}

// One query head of one row.
std::vector<float> loop_attention(
    const float* query,
    const Pool& pool,
    const SequenceView& sequence,
    int position,
    int kv_head,
    const AttentionSpec& spec
) {
  const auto head_dim = static_cast<std::size_t>(spec.head_dim);
  const auto head_of = [&](const std::vector<float>& rows, int at) {
    const std::size_t row = slot_of(sequence, at) * static_cast<std::size_t>(spec.num_kv_heads);
    return rows.data() + (row + static_cast<std::size_t>(kv_head)) * head_dim;
  };
  std::vector<double> mixed(head_dim, 0.0);
  double total = 0.0;
  const int first = spec.window > 0 ? std::max(0, position - spec.window + 1) : 0;
  for (int at = first; at <= position; ++at) {
    double score = 0.0;
    for (std::size_t i = 0; i < head_dim; ++i)
      score += double{query[i]} * double{head_of(pool.keys, at)[i]};
    score *= double{spec.scale};
    if (spec.soft_cap > 0.0F)
      score = double{spec.soft_cap} * std::tanh(score / double{spec.soft_cap});
    const double weight = std::exp(score);
    total += weight;
    for (std::size_t i = 0; i < head_dim; ++i)
      mixed[i] += weight * double{head_of(pool.values, at)[i]};
  }
  std::vector<float> result;
  for (const double value : mixed) result.push_back(static_cast<float>(value / total));
  return result;
}

std::vector<float> loop_batch(
    const std::vector<float>& queries,
    const Pool& pool,
    const BatchView& batch,
    const AttentionSpec& spec
) {
  std::vector<float> result;
  const int group = spec.num_heads / spec.num_kv_heads;
  for (const SequenceView& sequence : batch.sequences) {
    for (int row = 0; row < sequence.num_rows; ++row) {
      for (int head = 0; head < spec.num_heads; ++head) {
        const int index = ((sequence.first_row + row) * spec.num_heads + head) * spec.head_dim;
        const std::vector<float> mixed = loop_attention(
            queries.data() + index,
            pool,
            sequence,
            sequence.context_length + row,
            head / group,
            spec
        );
        result.insert(result.end(), mixed.begin(), mixed.end());
      }
    }
  }
  return result;
}

class PagedAttention : public ::testing::TestWithParam<Case> {};

TEST_P(PagedAttention, MatchesTheLoop) {
  const AttentionSpec& spec = GetParam().spec;
  // A whole prompt, a decode, a chunk after earlier context, a decode at a page's first token.
  const std::vector<SequenceView> sequences{
      {.first_row = 0, .num_rows = 9, .context_length = 0, .pages = {{5, 0, 9}}},
      {.first_row = 9, .num_rows = 1, .context_length = 14, .pages = {{1, 2, 3, 15}}},
      {.first_row = 10, .num_rows = 5, .context_length = 6, .pages = {{8, 7, 6}}},
      {.first_row = 15, .num_rows = 1, .context_length = 4, .pages = {{11, 10}}},
  };
  const BatchView batch = make_batch_view(sequences, kShape);
  const mx::Shape pool_shape{kNumPages, kPageSize, spec.num_kv_heads, spec.head_dim};
  const KvLayer pool{.keys = random_array(pool_shape, 1), .values = random_array(pool_shape, 2)};
  const mx::array queries = random_array({16, spec.num_heads, spec.head_dim}, 3);
  const Pool host{.keys = host_values(pool.keys), .values = host_values(pool.values)};
  const std::vector<float> expected = loop_batch(host_values(queries), host, batch, spec);
  expect_close(host_values(paged_attention(queries, pool, batch, spec)), expected, 1e-5F);
}

AttentionSpec heads(int num_heads, int num_kv_heads, int window, float soft_cap) {
  return {
      .num_heads = num_heads,
      .num_kv_heads = num_kv_heads,
      .head_dim = 8,
      .scale = 1.7F,
      .window = window,
      .soft_cap = soft_cap
  };
}

INSTANTIATE_TEST_SUITE_P(
    Features,
    PagedAttention,
    ::testing::Values(
        Case{"plain", heads(3, 3, 0, 0.0F)},
        Case{"grouped", heads(6, 2, 0, 0.0F)},
        Case{"one_kv_head", heads(4, 1, 0, 0.0F)},
        Case{"window_1", heads(4, 2, 1, 0.0F)},
        Case{"window_5", heads(4, 2, 5, 0.0F)},
        Case{"window_beyond", heads(4, 2, 100, 0.0F)},
        Case{"soft_cap", heads(4, 2, 0, 2.0F)},
        Case{"all", heads(6, 2, 3, 1.5F)}
    ),
    [](const auto& instance) { return instance.param.name; }
);

TEST(PagedAttentionType, ReadsQuantizedPages) {
  const AttentionSpec spec = heads(4, 2, 0, 0.0F);
  const BatchView batch = make_batch_view(
      {{.num_rows = 5, .pages = {{3, 0}}}, {.first_row = 5, .num_rows = 1, .pages = {{1}}}}, kShape
  );
  const mx::Shape shape{kNumPages, kPageSize, 2, 8};
  const mx::Shape scale_shape{kNumPages, kPageSize, 2, 1};
  const auto stored = [&shape](std::uint32_t seed) {
    return mx::astype(random_array(shape, seed) * mx::array(127.0F), mx::int8);
  };
  const KvLayer quantized{
      .keys = stored(1),
      .values = stored(2),
      .key_scales = random_array(scale_shape, 4) * mx::array(0.01F),
      .value_scales = random_array(scale_shape, 5) * mx::array(0.01F)
  };
  const KvLayer expanded{
      .keys = quantized.keys * *quantized.key_scales,
      .values = quantized.values * *quantized.value_scales
  };
  const mx::array queries = random_array({6, 4, 8}, 3);
  expect_close(
      paged_attention(queries, quantized, batch, spec),
      paged_attention(queries, expanded, batch, spec),
      1e-6F
  );
}

TEST(PagedAttentionType, KeepsTheTypeOfTheQueries) {
  const AttentionSpec spec = heads(2, 1, 0, 0.0F);
  const BatchView batch = make_batch_view({{.num_rows = 2, .pages = {{0}}}}, kShape);
  const mx::array pages = random_array({kNumPages, kPageSize, 1, 8}, 1, mx::bfloat16);
  const KvLayer pool{.keys = pages, .values = pages};
  EXPECT_EQ(
      paged_attention(random_array({2, 2, 8}, 3, mx::bfloat16), pool, batch, spec).dtype(),
      mx::bfloat16
  );
}

}  // namespace
}  // namespace mlxs
