// Every path against the plain-MLX reference, and equal bits however a row is run.
#include "kernels/paged_attention/attention_cpu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/testing/arrays.h"
#include "kernels/testing/cpu_pages.h"

namespace mlxs {
namespace {

using testing::host_values;
using testing::random_array;
using testing::random_values;

struct Case {
  std::string name;
  AttentionSpec spec;
  KvType type = KvType::float32;
  int page_size = 16;

  friend void PrintTo(const Case& instance, std::ostream* out) { *out << instance.name; }
};

AttentionSpec spec_of(int num_heads, int num_kv_heads, int head_dim) {
  return {
      .num_heads = num_heads,
      .num_kv_heads = num_kv_heads,
      .head_dim = head_dim,
      .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))
  };
}

AttentionSpec windowed(int window, float soft_cap) {
  AttentionSpec spec = spec_of(4, 2, 32);
  spec.window = window;
  spec.soft_cap = soft_cap;
  return spec;
}

KvLayer random_pool(const Case& instance, int num_pages) {
  const AttentionSpec& spec = instance.spec;
  const mx::Shape shape{num_pages, instance.page_size, spec.num_kv_heads, spec.head_dim};
  const bool is_int8 = instance.type == KvType::int8;
  const auto stored = [&](std::uint32_t seed) {
    const mx::array values = random_array(shape, seed) * mx::array(is_int8 ? 127.0F : 2.0F);
    mx::array result = mx::contiguous(mx::astype(values, kv_dtype(instance.type)));
    result.eval();
    return result;
  };
  KvLayer pool{.keys = stored(1), .values = stored(2)};
  if (is_int8) {
    const mx::Shape scales{num_pages, instance.page_size, spec.num_kv_heads, 1};
    pool.key_scales = random_array(scales, 3) * mx::array(0.02F);
    pool.value_scales = random_array(scales, 4) * mx::array(0.02F);
    mx::eval(*pool.key_scales, *pool.value_scales);
  }
  return pool;
}

// Pages in an order that no kernel can take for contiguous.
std::vector<std::int32_t> pages_for(int num_tokens, int page_size, int offset) {
  std::vector<std::int32_t> pages;
  for (int page = 0; page * page_size < num_tokens; ++page)
    pages.push_back((page % 2 == 0 ? page + 1 : page - 1) + offset);
  return pages;
}

int pages_in(int num_tokens, int page_size) { return (num_tokens + page_size - 1) / page_size + 1; }

class Runner {
 public:
  Runner(CpuPath path, int num_threads, Case instance, const KvLayer& pool)
      : context_({.num_threads = num_threads, .path = path}),
        instance_(std::move(instance)),
        pool_(testing::cpu_pages(pool)) {}

  std::vector<float> run(const std::vector<float>& queries, const BatchView& batch) {
    const AttentionSpec& spec = instance_.spec;
    std::vector<float> out(queries.size(), -7.0F);
    AttentionProblem problem{
        .queries = queries.data(),
        .out = out.data(),
        .keys = pool_.keys.data<std::byte>(),
        .values = pool_.values.data<std::byte>(),
        .query_stride = std::int64_t{spec.num_heads} * spec.head_dim,
        .type = instance_.type,
        .num_heads = spec.num_heads,
        .num_kv_heads = spec.num_kv_heads,
        .head_dim = spec.head_dim,
        .page_size = instance_.page_size,
        .window = spec.window,
        .scale = spec.scale,
        .soft_cap = spec.soft_cap
    };
    if (pool_.is_quantized()) {
      problem.key_scales = pool_.key_scales->data<float>();
      problem.value_scales = pool_.value_scales->data<float>();
    }
    context_.scratch.reset();
    run_paged_attention(context_, problem, *batch.host, 0);
    return out;
  }

 private:
  CpuContext context_;
  Case instance_;
  KvLayer pool_;
};

BatchView view_of(std::vector<SequenceView> sequences, const Case& instance, int num_pages) {
  return make_batch_view(
      std::move(sequences),
      {.page_size = instance.page_size,
       .groups = {{.num_pages = num_pages, .window = instance.spec.window}}}
  );
}

void expect_near(
    const std::vector<float>& actual, const std::vector<float>& expected, float tolerance
) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
}

class CpuAttention : public ::testing::TestWithParam<Case> {};

// A prompt, a chunk after earlier context, a decode in the first span and one over several.
TEST_P(CpuAttention, MatchesTheReferenceOnEveryPath) {
  const Case& instance = GetParam();
  const AttentionSpec& spec = instance.spec;
  const auto at = [&](int first, int rows, int context, int offset) {
    return SequenceView{
        .first_row = first,
        .num_rows = rows,
        .context_length = context,
        .pages = {pages_for(context + rows, instance.page_size, offset)}
    };
  };
  const int one = pages_in(610, instance.page_size);
  const BatchView batch = view_of(
      {at(0, 79, 0, 0),
       at(79, 37, 230, one),
       at(116, 1, 100, 2 * one),
       at(117, 1, 600, 3 * one),
       at(118, 1, 0, 4 * one)},
      instance,
      5 * one
  );
  const KvLayer pool = random_pool(instance, 5 * one);
  const auto queries =
      random_values(static_cast<std::size_t>(119 * spec.num_heads * spec.head_dim), 9);
  const mx::array query_array(queries.data(), {119, spec.num_heads, spec.head_dim}, mx::float32);
  const auto expected = host_values(paged_attention(query_array, pool, batch, spec));
  for (const CpuPath path : available_cpu_paths()) {
    SCOPED_TRACE(cpu_path_name(path));
    expect_near(Runner(path, 2, instance, pool).run(queries, batch), expected, 4e-6F);
  }
}

// The last rows of a long prompt: in one chunk, in two, and one by one beside another sequence.
TEST_P(CpuAttention, ARowHasTheSameBitsHoweverItIsRun) {
  const Case& instance = GetParam();
  const AttentionSpec& spec = instance.spec;
  constexpr int kLength = 530;
  constexpr int kRows = 41;
  const int num_pages = pages_in(kLength, instance.page_size) + 1;
  const KvLayer pool = random_pool(instance, num_pages);
  const auto pages = pages_for(kLength, instance.page_size, 0);
  const std::size_t row_size = static_cast<std::size_t>(spec.num_heads * spec.head_dim);
  const auto queries = random_values(kRows * row_size, 9);
  for (const CpuPath path : available_cpu_paths()) {
    SCOPED_TRACE(cpu_path_name(path));
    Runner runner(path, 2, instance, pool);
    const auto rows = [&](int first, int count) {
      return SequenceView{
          .num_rows = count, .context_length = kLength - kRows + first, .pages = {pages}
      };
    };
    const auto whole = runner.run(queries, view_of({rows(0, kRows)}, instance, num_pages));
    SequenceView second = rows(7, kRows - 7);
    second.first_row = 7;
    EXPECT_EQ(runner.run(queries, view_of({rows(0, 7), second}, instance, num_pages)), whole);
    std::vector<SequenceView> singles;
    for (int row = 0; row < kRows; ++row) {
      singles.push_back(rows(row, 1));
      singles.back().first_row = row;
    }
    EXPECT_EQ(runner.run(queries, view_of(singles, instance, num_pages)), whole);
    const std::vector<float> last(
        queries.end() - static_cast<std::ptrdiff_t>(row_size), queries.end()
    );
    const std::vector<float> expected(
        whole.end() - static_cast<std::ptrdiff_t>(row_size), whole.end()
    );
    EXPECT_EQ(
        Runner(path, 1, instance, pool)
            .run(last, view_of({rows(kRows - 1, 1)}, instance, num_pages)),
        expected
    );
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes,
    CpuAttention,
    ::testing::Values(
        Case{"grouped_64", spec_of(9, 3, 64), KvType::float32, 32},
        Case{"head_dim_33", spec_of(2, 2, 33)},
        Case{"head_dim_8", spec_of(4, 1, 8), KvType::float32, 4},
        Case{"head_dim_80", spec_of(3, 1, 80)},
        Case{"head_dim_96", spec_of(2, 1, 96)},
        Case{"head_dim_128", spec_of(8, 1, 128)},
        Case{"head_dim_256", spec_of(2, 1, 256)},
        Case{"all_heads_apart", spec_of(5, 5, 32)},
        Case{"many_share_one", spec_of(13, 1, 32)},
        Case{"bfloat16", spec_of(9, 3, 64), KvType::bfloat16},
        Case{"bfloat16_odd", spec_of(3, 1, 20), KvType::bfloat16, 5},
        Case{"float16", spec_of(9, 3, 64), KvType::float16},
        Case{"float16_odd", spec_of(3, 1, 20), KvType::float16, 5},
        Case{"int8", spec_of(9, 3, 64), KvType::int8},
        Case{"int8_odd", spec_of(3, 1, 20), KvType::int8, 5},
        Case{"window_1", windowed(1, 0.0F)},
        Case{"window_5", windowed(5, 0.0F)},
        Case{"window_16_a_page", windowed(16, 0.0F)},
        Case{"window_64_a_tile", windowed(64, 0.0F)},
        Case{"window_300", windowed(300, 0.0F)},
        Case{"soft_cap", windowed(0, 2.0F)},
        Case{"window_and_cap", windowed(33, 1.5F)}
    ),
    [](const auto& instance) { return instance.param.name; }
);

// What is not finite reaches the rows that see it, and no others.
TEST(CpuAttentionValues, NotANumberReachesOnlyTheRowsThatSeeIt) {
  const Case instance{"nan", spec_of(6, 2, 64)};
  constexpr int kRows = 100;
  constexpr int kBad = 70;
  for (const bool in_keys : {true, false}) {
    KvLayer pool = random_pool(instance, 8);
    const auto pages = pages_for(kRows, instance.page_size, 0);
    float* bad = in_keys ? pool.keys.data<float>() : pool.values.data<float>();
    const int slot = pages[kBad / 16] * 16 + kBad % 16;
    bad[static_cast<std::size_t>(slot * 2 * 64)] = NAN;  // kv head 0
    const auto queries = random_values(kRows * 6 * 64, 9);
    const BatchView batch = view_of({{.num_rows = kRows, .pages = {pages}}}, instance, 8);
    for (const CpuPath path : available_cpu_paths()) {
      const auto out = Runner(path, 2, instance, pool).run(queries, batch);
      for (int row = 0; row < kRows; ++row) {
        for (int head = 0; head < 6; ++head) {
          const bool is_bad = std::isnan(out[static_cast<std::size_t>((row * 6 + head) * 64)]);
          ASSERT_EQ(is_bad, row >= kBad && head < 3) << row << " " << head;
        }
      }
    }
  }
}

TEST(CpuAttentionValues, LargeScoresAndTinyValuesAreAsInTheReference) {
  const Case instance{"large", spec_of(2, 1, 32)};
  KvLayer pool = random_pool(instance, 40);
  for (std::size_t i = 0; i < pool.keys.size(); ++i) {
    pool.keys.data<float>()[i] *= 3000.0F;
    pool.values.data<float>()[i] *= 1e-40F;
  }
  const BatchView batch = view_of(
      {{.num_rows = 1, .context_length = 500, .pages = {pages_for(501, 16, 0)}}}, instance, 40
  );
  const auto queries = random_values(64, 9);
  const mx::array query_array(queries.data(), {1, 2, 32}, mx::float32);
  const auto expected = host_values(paged_attention(query_array, pool, batch, instance.spec));
  for (const CpuPath path : available_cpu_paths()) {
    const auto out = Runner(path, 2, instance, pool).run(queries, batch);
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 1e-38F);
  }
}

}  // namespace
}  // namespace mlxs
