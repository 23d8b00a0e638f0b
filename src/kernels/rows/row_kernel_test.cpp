// Every path against the plain-MLX references, over odd sizes and values at the edges.
#include "kernels/rows/row_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_path.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/store_kv/store_kv.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/testing/arrays.h"
#include "kernels/testing/cpu_pages.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;
using testing::random_values;

mx::array to_array(const std::vector<float>& values, const mx::Shape& shape) {
  return mx::array(values.data(), shape, mx::float32);
}

class RowKernel : public ::testing::TestWithParam<CpuPath> {
 protected:
  const RowKernels& kernels_ = row_kernels(GetParam());
};

TEST_P(RowKernel, NormsRowsOfAnyLength) {
  for (const int size : {1, 3, 16, 31, 64, 576, 1000}) {
    const auto x = random_values(static_cast<std::size_t>(size), 1);
    const auto weight = random_values(static_cast<std::size_t>(size), 2);
    std::vector<float> out(x.size());
    kernels_.norm(
        {.x = x.data(),
         .weight = weight.data(),
         .out = out.data(),
         .num_columns = size,
         .eps = 1e-5F}
    );
    const auto expected =
        host_values(rms_norm(to_array(x, {1, size}), to_array(weight, {size}), 1e-5F));
    expect_close(out, expected, 2e-6F);
    const auto addend = random_values(x.size(), 3);
    std::vector<float> sum = addend;
    kernels_.norm(
        {.x = x.data(),
         .weight = weight.data(),
         .addend = sum.data(),
         .out = sum.data(),
         .num_columns = size,
         .eps = 1e-5F}
    );
    for (std::size_t i = 0; i < sum.size(); ++i)
      ASSERT_NEAR(sum[i], expected[i] + addend[i], 1e-5F);
  }
}

TEST_P(RowKernel, NormShowsWhatIsNotFinite) {
  std::vector<float> x(40, 1.0F);
  x[33] = NAN;
  const std::vector<float> weight(40, 1.0F);
  std::vector<float> out(40);
  kernels_.norm({.x = x.data(), .weight = weight.data(), .out = out.data(), .num_columns = 40});
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

// Over the whole range, against double precision: the accuracy that vector.inc states.
TEST_P(RowKernel, GatesAreAccurateEverywhere) {
  std::vector<float> gates;
  for (float x = -120.0F; x < 120.0F; x += 0.0137F) gates.push_back(x);
  for (const float x : {0.0F, -0.0F, 1e-30F, -1e-30F, 1e-42F, 3e38F}) gates.push_back(x);
  const std::vector<float> ups(gates.size(), 1.0F);
  std::vector<float> silu(gates.size());
  std::vector<float> gelu(gates.size());
  const int size = static_cast<int>(gates.size());
  GateRow row{.gate = gates.data(), .up = ups.data(), .out = silu.data(), .num_columns = size};
  kernels_.gate(row);
  row.out = gelu.data();
  row.activation = Activation::gelu_tanh;
  kernels_.gate(row);
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const double g = gates[i];
    const double expected = g / (1.0 + std::exp(-g));
    ASSERT_NEAR(silu[i], expected, 6e-7 * std::abs(expected) + 1e-36) << g;
    const double inner = std::sqrt(2.0 / M_PI) * (g + 0.044715 * g * g * g);
    const double expected_gelu = 0.5 * g * (1.0 + std::tanh(inner));
    ASSERT_NEAR(gelu[i], expected_gelu, 1e-6 * std::max(1.0, std::abs(expected_gelu))) << g;
  }
}

TEST_P(RowKernel, GatesShowWhatIsNotFinite) {
  const std::vector<float> gates{NAN, std::numeric_limits<float>::infinity(), 1.0F, 2.0F};
  const std::vector<float> ups{1.0F, 1.0F, NAN, std::numeric_limits<float>::infinity()};
  std::vector<float> out(4);
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh}) {
    kernels_.gate(
        {.gate = gates.data(),
         .up = ups.data(),
         .out = out.data(),
         .num_columns = 4,
         .activation = activation}
    );
    for (const float value : out) EXPECT_FALSE(std::isfinite(value));
  }
}

TEST_P(RowKernel, SoftCapMatchesTanh) {
  std::vector<float> x;
  for (float value = -300.0F; value < 300.0F; value += 0.173F) x.push_back(value);
  std::vector<float> capped = x;
  kernels_.soft_cap(capped.data(), static_cast<std::int64_t>(capped.size()), 30.0F);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = 30.0 * std::tanh(double{x[i]} / 30.0);
    ASSERT_NEAR(capped[i], expected, 8e-7 * std::abs(expected) + 1e-30) << x[i];
  }
}

constexpr int kHeads = 3;
constexpr int kKvHeads = 2;
constexpr int kRows = 3;

struct StoreCase {
  int head_dim = 0;
  int num_pairs = 0;
  bool has_norm = false;
};

// Against norm, rotation and store of the references.
void expect_stored(const RowKernels& kernels, const StoreCase& instance, KvType type) {
  const int dim = instance.head_dim;
  const int stride = (kHeads + 2 * kKvHeads) * dim;
  std::vector<float> rows = random_values(static_cast<std::size_t>(kRows * stride), 1);
  const mx::array qkv = to_array(rows, {kRows, kHeads + 2 * kKvHeads, dim});
  const auto heads = [&qkv, dim](int first, int last) {
    return mx::slice(qkv, {0, first, 0}, {kRows, last, dim});
  };
  const mx::array norm = random_array({dim}, 2);
  const RopeTables tables{
      .cos = random_array({kRows, std::max(1, instance.num_pairs)}, 3),
      .sin = random_array({kRows, std::max(1, instance.num_pairs)}, 4)
  };
  const auto prepared = [&](const mx::array& x) {
    const mx::array normed = instance.has_norm ? rms_norm(x, norm, 1e-6F) : x;
    return instance.num_pairs > 0 ? apply_rope(normed, tables) : normed;
  };
  const std::vector<std::int32_t> slots{5, 0, 7};
  const mx::Shape shape{2, 4, kKvHeads, dim};
  const auto make_pool = [&] {
    KvLayer pool{
        .keys = mx::zeros(shape, kv_dtype(type)), .values = mx::zeros(shape, kv_dtype(type))
    };
    if (type == KvType::int8) {
      pool.key_scales = mx::zeros({2, 4, kKvHeads, 1});
      pool.value_scales = mx::zeros({2, 4, kKvHeads, 1});
    }
    return pool;
  };
  KvLayer expected = make_pool();
  store_kv(
      expected,
      prepared(heads(kHeads, kHeads + kKvHeads)),
      heads(kHeads + kKvHeads, kHeads + 2 * kKvHeads),
      mx::array(slots.data(), {kRows}, mx::int32)
  );
  expected = testing::cpu_pages(expected);
  KvLayer actual = make_pool();
  mx::eval(actual.keys, actual.values);
  const auto norm_values = host_values(norm);
  const auto cos = host_values(tables.cos);
  const auto sin = host_values(tables.sin);
  StoreProblem problem{
      .queries = rows.data(),
      .keys = rows.data() + kHeads * dim,
      .values = rows.data() + (kHeads + kKvHeads) * dim,
      .stride = stride,
      .q_norm = instance.has_norm ? norm_values.data() : nullptr,
      .k_norm = instance.has_norm ? norm_values.data() : nullptr,
      .eps = 1e-6F,
      .cos = instance.num_pairs > 0 ? cos.data() : nullptr,
      .sin = sin.data(),
      .num_pairs = instance.num_pairs,
      .slots = slots.data(),
      .key_pool = actual.keys.data<std::byte>(),
      .value_pool = actual.values.data<std::byte>(),
      .type = type,
      .page_size = 4,
      .num_heads = kHeads,
      .num_kv_heads = kKvHeads,
      .head_dim = dim
  };
  if (type == KvType::int8) {
    mx::eval(*actual.key_scales, *actual.value_scales);
    problem.key_scales = actual.key_scales->data<float>();
    problem.value_scales = actual.value_scales->data<float>();
  }
  kernels.store(problem, 0, kRows);
  const auto queries = host_values(prepared(heads(0, kHeads)));
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kHeads * dim; ++i) {
      ASSERT_NEAR(
          rows[static_cast<std::size_t>(row * stride + i)],
          queries[static_cast<std::size_t>(row * kHeads * dim + i)],
          2e-6F * 4
      );
    }
  }
  // Half a unit of a type's last place may round the other way; int8 by a step.
  const float tolerance =
      type == KvType::float32 ? 4e-6F : (type == KvType::bfloat16 ? 8e-3F : 1e-3F);
  if (type == KvType::int8) {
    expect_close(*actual.key_scales, *expected.key_scales, 1e-5F);
    expect_close(*actual.value_scales, *expected.value_scales, 1e-5F);
    const auto stored = host_values(actual.keys);
    const auto wanted = host_values(expected.keys);
    for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_NEAR(stored[i], wanted[i], 1.0F);
    expect_close(actual.values, expected.values, 0.0F);
  } else {
    expect_close(actual.keys, expected.keys, tolerance);
    expect_close(actual.values, expected.values, 0.0F);
  }
}

TEST_P(RowKernel, StoresWhatTheReferencesStore) {
  const std::vector<StoreCase> cases{
      {.head_dim = 64, .num_pairs = 32},
      {.head_dim = 20, .num_pairs = 5, .has_norm = true},
      {.head_dim = 8, .num_pairs = 0, .has_norm = true},
      {.head_dim = 96, .num_pairs = 24},
      {.head_dim = 7, .num_pairs = 0}
  };
  for (const StoreCase& instance : cases) {
    for (const KvType type : {KvType::float32, KvType::float16, KvType::bfloat16, KvType::int8})
      expect_stored(kernels_, instance, type);
  }
}

TEST_P(RowKernel, StoresEdgesOfTheHalfTypes) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values{
      0.0F,
      -0.0F,
      1e-8F,
      6e-8F,
      -3e-5F,
      65504.0F,
      65519.0F,
      65520.0F,
      1e38F,
      3.4e38F,
      infinity,
      -infinity,
      1.0009766F,
      1.00048828F,
      6.1e-5F,
      5.9e-8F
  };
  const mx::array expected = mx::reshape(to_array(values, {16}), {1, 1, 1, 16});
  const std::int32_t slot = 0;
  for (const KvType type : {KvType::float16, KvType::bfloat16}) {
    mx::array pool = mx::zeros({1, 1, 1, 16}, kv_dtype(type));
    mx::array other = mx::zeros({1, 1, 1, 16}, kv_dtype(type));
    mx::eval(pool, other);
    std::vector<float> keys = values;
    kernels_.store(
        {.queries = keys.data(),
         .keys = keys.data(),
         .values = values.data(),
         .stride = 16,
         .slots = &slot,
         .key_pool = other.data<std::byte>(),
         .value_pool = pool.data<std::byte>(),
         .type = type,
         .page_size = 1,
         .num_heads = 0,
         .num_kv_heads = 1,
         .head_dim = 16},
        0,
        1
    );
    EXPECT_EQ(host_values(pool), host_values(mx::astype(expected, kv_dtype(type))));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Paths,
    RowKernel,
    ::testing::ValuesIn(available_cpu_paths()),
    [](const auto& instance) { return std::string(cpu_path_name(instance.param)); }
);

}  // namespace
}  // namespace mlxs
