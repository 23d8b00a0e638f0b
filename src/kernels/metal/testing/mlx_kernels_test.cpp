// The harness tried on kernels that are known to be right: MLX's own, from the pinned wheel's
// sources. Their results have to be MLX's on the CPU, and the harness has to find no fault but the
// harmless ones that reading them shows, too. They rely on lock-step in places, which Apple's GPUs
// keep.
#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/metal/testing/harness.h"
#include "kernels/metal/testing/msl_host.h"

namespace mlx_sources {
#include "kernels/metal/testing/msl_names.inc"
// In the order of MLX's own programs.
// clang-format off
#include <mlx/backend/metal/kernels/utils.h>
#include <mlx/backend/metal/kernels/atomic.h>
#include <mlx/backend/metal/kernels/unary_ops.h>
#include <mlx/backend/metal/kernels/unary.h>
#include <mlx/backend/metal/kernels/binary_ops.h>
#include <mlx/backend/metal/kernels/binary.h>
#include <mlx/backend/metal/kernels/arange.h>
#include <mlx/backend/metal/kernels/softmax.h>
#include <mlx/backend/metal/kernels/logsumexp.h>
#include <mlx/backend/metal/kernels/reduction/ops.h>
#include <mlx/backend/metal/kernels/reduction/reduce_row.h>
#include <mlx/backend/metal/kernels/reduction/reduce_col.h>
#include <mlx/backend/metal/kernels/scan.h>
#include <mlx/backend/metal/kernels/sort.h>
#include <mlx/backend/metal/kernels/gemv.h>
#include <mlx/backend/metal/kernels/hadamard.h>
#include <mlx/backend/metal/kernels/sdpa_vector.h>
#include <mlx/backend/metal/kernels/steel/gemm/gemm.h>
#include <mlx/backend/metal/kernels/quantized_utils.h>
#include <mlx/backend/metal/kernels/quantized.h>
// clang-format on
#include "kernels/metal/testing/msl_end.inc"
}  // namespace mlx_sources

namespace mlxs::msl {
namespace {

namespace mx = mlx::core;
namespace mk = mlx_sources;
using Floats = std::vector<float>;

Floats random_floats(std::size_t count, unsigned int seed, float spread = 1.0F) {
  std::mt19937 generator(seed);
  Floats values(count);
  for (float& value : values)
    value = spread * (static_cast<float>(generator() >> 8U) / 8388608.0F - 1.0F);
  return values;
}

mx::array to_array(const Floats& values, mx::Shape shape) {
  return mx::array(values.data(), std::move(shape), mx::float32);
}

void expect_equal(const Floats& actual, const mx::array& expected, float tolerance = 1e-5F) {
  mx::array flat = mx::contiguous(
      mx::reshape(mx::astype(expected, mx::float32, mx::Device::cpu), {-1}, mx::Device::cpu),
      false,
      mx::Device::cpu
  );
  flat.eval();
  ASSERT_EQ(actual.size(), flat.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const float wanted = flat.data<float>()[i];
    ASSERT_NEAR(actual[i], wanted, tolerance * std::max(1.0F, std::abs(wanted))) << "at " << i;
  }
}

mk::uint3 as_uint3(const Extent& extent) { return {extent.x, extent.y, extent.z}; }

// RETURNS: what the harness finds wrong with what `run` dispatches.
std::string fault_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const KernelError& error) {
    if (error.fault() == Fault::race) return "race";
    if (error.fault() == Fault::uninitialised) return "uninitialised";
    return error.what();
  }
  return "nothing";
}

class MlxKernels : public ::testing::TestWithParam<unsigned int> {
 protected:
  Harness harness_{GetParam(), LaneOrder::lock_step};
};

TEST_P(MlxKernels, SoftmaxOfOneBlock) {
  constexpr int kRows = 3;
  constexpr int kColumns = 300;
  int columns = kColumns;  // a kernel's constant is a reference
  const Floats x = random_floats(kRows * kColumns, 1, 4.0F);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(x.size());
  harness_.dispatch_threadgroups({kRows, 1, 1}, {96, 1, 1}, [&] {
    const Position& p = position();
    mk::softmax_single_row<float>(in, out, columns, p.group.x, p.index, p.lane(), p.simd_group());
  });
  expect_equal(harness_.read(out, x.size()), mx::softmax(to_array(x, {kRows, kColumns}), -1));
}

TEST_P(MlxKernels, SoftmaxInALoop) {
  constexpr int kRows = 2;
  constexpr int kColumns = 4999;
  int columns = kColumns;
  const Floats x = random_floats(kRows * kColumns, 2, 4.0F);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(x.size());
  harness_.dispatch_threadgroups({kRows, 1, 1}, {1024, 1, 1}, [&] {
    const Position& p = position();
    mk::softmax_looped<float>(
        in, out, columns, p.group.x, p.index, 1024U, p.lane(), p.simd_group()
    );
  });
  expect_equal(harness_.read(out, x.size()), mx::softmax(to_array(x, {kRows, kColumns}), -1));
}

TEST_P(MlxKernels, Logsumexp) {
  int columns = 517;
  const Floats x = random_floats(2 * 517, 3, 4.0F);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(2);
  harness_.dispatch_threadgroups({2, 1, 1}, {160, 1, 1}, [&] {
    const Position& p = position();
    mk::logsumexp<float>(in, out, columns, p.group.x, p.index, p.lane(), p.simd_group());
  });
  expect_equal(harness_.read(out, 2), mx::logsumexp(to_array(x, {2, 517}), -1));
}

void check_row_sums(Harness& harness, int num_rows) {
  constexpr std::size_t kColumns = 1234;
  const auto rows = static_cast<std::size_t>(num_rows);
  const Floats x = random_floats(rows * kColumns, 4);
  const float* in = harness.buffer(x);
  auto* out = harness.output<float>(rows);
  const auto groups = static_cast<unsigned int>((num_rows + 3) / 4);
  harness.dispatch_threadgroups({1, groups, 1}, {128, 1, 1}, [&] {
    const Position& p = position();
    mk::row_reduce_simple<float, float, mk::Sum<float>>(
        in,
        out,
        kColumns,
        num_rows,
        as_uint3(p.group),
        as_uint3(p.groups_per_grid),
        as_uint3(p.thread),
        as_uint3(p.threads_per_group),
        p.lane(),
        4,
        p.simd_group()
    );
  });
  expect_equal(
      harness.read(out, rows),
      mx::sum(to_array(x, {num_rows, static_cast<int>(kColumns)}), -1),
      1e-4F
  );
}

TEST_P(MlxKernels, SumsOfRows) {
  check_row_sums(harness_, 8);
  // The last threadgroup moves back to four whole rows, and writes three sums again.
  EXPECT_EQ(fault_of([this] { check_row_sums(harness_, 9); }), "race");
}

TEST_P(MlxKernels, SumsOfColumns) {
  constexpr int kRows = 40;
  constexpr int kColumns = 70;
  const Floats x = random_floats(kRows * kColumns, 5);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(kColumns);
  const int shape[] = {kColumns};
  const std::int64_t strides[] = {1};
  const int reduce_shape[] = {kRows};
  const std::int64_t reduce_strides[] = {kColumns};
  harness_.dispatch_threadgroups({3, 1, 1}, {256, 1, 1}, [&] {
    const Position& p = position();
    mk::col_reduce_looped<float, float, mk::Sum<float>, int, 1, 32, 32>(
        in,
        out,
        kRows,
        kColumns,
        shape,
        strides,
        0,
        reduce_shape,
        reduce_strides,
        1,
        1,
        0,
        as_uint3(p.group),
        as_uint3(p.groups_per_grid),
        p.lane(),
        p.simd_group()
    );
  });
  expect_equal(harness_.read(out, kColumns), mx::sum(to_array(x, {kRows, kColumns}), 0), 1e-4F);
}

void check_running_sums(Harness& harness, unsigned int num_threads) {
  constexpr std::size_t kSize = 3001;
  const Floats x = random_floats(2 * kSize, 6);
  const float* in = harness.buffer(x);
  auto* out = harness.output<float>(x.size());
  harness.dispatch_threadgroups({1, 2, 1}, {num_threads, 1, 1}, [&] {
    const Position& p = position();
    mk::contiguous_scan<float, float, mk::CumSum<float>, 4, true, false>(
        in,
        out,
        kSize,
        as_uint3(p.group),
        as_uint3(p.groups_per_grid),
        as_uint3(p.thread),
        as_uint3(p.threads_per_group),
        p.lane(),
        p.simd_group()
    );
  });
  expect_equal(
      harness.read(out, x.size()), mx::cumsum(to_array(x, {2, static_cast<int>(kSize)}), 1), 1e-4F
  );
}

TEST_P(MlxKernels, RunningSums) {
  check_running_sums(harness_, 1024);
  // The first SIMD-group scans 32 sums however few there are; what it makes of the rest is unused.
  EXPECT_EQ(fault_of([this] { check_running_sums(harness_, 768); }), "uninitialised");
}

TEST_P(MlxKernels, SortsABlock) {
  constexpr int kSize = 700;
  const Floats x = random_floats(2 * kSize, 7, 100.0F);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(x.size());
  harness_.dispatch_threadgroups({1, 2, 1}, {128, 1, 1}, [&] {
    const Position& p = position();
    mk::block_sort<float, float, false, 128, 8>(
        in, out, kSize, 1, 1, kSize, kSize, as_uint3(p.group), as_uint3(p.thread)
    );
  });
  expect_equal(harness_.read(out, x.size()), mx::sort(to_array(x, {2, kSize}), 1), 0.0F);
}

void check_vector(Harness& harness, int num_rows) {
  constexpr int kColumns = 301;
  const auto rows = static_cast<std::size_t>(num_rows);
  const Floats matrix = random_floats(rows * kColumns, 8);
  const Floats vector = random_floats(kColumns, 9);
  const float* a = harness.buffer(matrix);
  const float* x = harness.buffer(vector);
  auto* out = harness.output<float>(rows);
  const int batch_shape[] = {1};
  const std::int64_t strides[] = {0};
  // BM 4, BN 1, SM 1, SN 32, TM 4, TN 4: 16 rows a threadgroup.
  const auto groups = static_cast<unsigned int>((num_rows + 15) / 16);
  harness.dispatch_threadgroups({groups, 1, 1}, {32, 1, 4}, [&] {
    const Position& p = position();
    mk::gemv<float, 4, 1, 1, 32, 4, 4, false, false>(
        a,
        x,
        nullptr,
        out,
        kColumns,
        num_rows,
        kColumns,
        1.0F,
        0.0F,
        1,
        batch_shape,
        strides,
        strides,
        strides,
        1,
        as_uint3(p.group),
        as_uint3(p.thread),
        p.simd_group(),
        p.lane()
    );
  });
  expect_equal(
      harness.read(out, rows),
      mx::matmul(to_array(matrix, {num_rows, kColumns}), to_array(vector, {kColumns, 1})),
      1e-4F
  );
}

TEST_P(MlxKernels, MatrixTimesVector) {
  check_vector(harness_, 48);
  // The last SIMD-group moves back to four whole rows, and writes two of another one again.
  EXPECT_EQ(fault_of([this] { check_vector(harness_, 46); }), "race");
}

struct Quantized {
  mx::array weight, scales, biases;
};
Quantized quantized(const Floats& dense, int rows, int columns, int bits) {
  auto parts = mx::quantize(to_array(dense, {rows, columns}), 64, bits);
  for (mx::array& part : parts) part.eval();
  return {parts[0], parts[1], parts[2]};
}
template <typename T>
std::vector<T> values_of(const mx::array& x) {
  return std::vector<T>(x.data<T>(), x.data<T>() + x.size());
}

template <int bits>
void check_quantized_vector(Harness& harness, int rows, int columns) {
  const Quantized q =
      quantized(random_floats(static_cast<std::size_t>(rows * columns), 10), rows, columns, bits);
  const Floats vector = random_floats(static_cast<std::size_t>(columns), 11);
  const auto* w = harness.buffer(values_of<std::uint32_t>(q.weight));
  const float* scales = harness.buffer(values_of<float>(q.scales));
  const float* biases = harness.buffer(values_of<float>(q.biases));
  const float* x = harness.buffer(vector);
  auto* y = harness.output<float>(static_cast<std::size_t>(rows));
  const auto groups = static_cast<unsigned int>((rows + 7) / 8);
  harness.dispatch_threadgroups({1, groups, 1}, {32, 2, 1}, [&] {
    const Position& p = position();
    if (columns % 512 == 0) {
      mk::affine_qmv_fast<float, 64, bits, false>(
          w,
          scales,
          biases,
          x,
          y,
          columns,
          rows,
          0,
          nullptr,
          nullptr,
          0,
          nullptr,
          nullptr,
          nullptr,
          nullptr,
          as_uint3(p.group),
          p.simd_group(),
          p.lane()
      );
    } else {
      mk::affine_qmv<float, 64, bits, false>(
          w,
          scales,
          biases,
          x,
          y,
          columns,
          rows,
          0,
          nullptr,
          nullptr,
          0,
          nullptr,
          nullptr,
          nullptr,
          nullptr,
          as_uint3(p.group),
          p.simd_group(),
          p.lane()
      );
    }
  });
  expect_equal(
      harness.read(y, static_cast<std::size_t>(rows)),
      mx::quantized_matmul(
          to_array(vector, {1, columns}), q.weight, q.scales, q.biases, true, 64, bits
      ),
      1e-3F
  );
}

TEST_P(MlxKernels, QuantizedMatrixTimesVector) {
  check_quantized_vector<4>(harness_, 16, 512);
  check_quantized_vector<8>(harness_, 24, 1024);
  check_quantized_vector<4>(harness_, 16, 320);
  // As above, the last SIMD-group writes two rows of another one again.
  EXPECT_EQ(fault_of([this] { check_quantized_vector<4>(harness_, 14, 320); }), "race");
}

TEST_P(MlxKernels, QuantizedMatrixTimesMatrix) {
  constexpr int kN = 40;
  constexpr int kK = 128;
  constexpr int kM = 35;
  const Quantized q = quantized(random_floats(kN * kK, 12), kN, kK, 4);
  const Floats rows = random_floats(kM * kK, 13);
  const auto* w = harness_.buffer(values_of<std::uint32_t>(q.weight));
  const float* scales = harness_.buffer(values_of<float>(q.scales));
  const float* biases = harness_.buffer(values_of<float>(q.biases));
  const float* x = harness_.buffer(rows);
  auto* y = harness_.output<float>(kM * kN);
  harness_.dispatch_threadgroups({2, 2, 1}, {32, 2, 2}, [&] {
    const Position& p = position();
    mk::affine_qmm_t<float, 64, 4, false, false>(
        w,
        scales,
        biases,
        x,
        y,
        kK,
        kN,
        kM,
        0,
        nullptr,
        nullptr,
        0,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        as_uint3(p.group),
        p.index,
        p.simd_group(),
        p.lane()
    );
  });
  expect_equal(
      harness_.read(y, kM * kN),
      mx::quantized_matmul(to_array(rows, {kM, kK}), q.weight, q.scales, q.biases, true, 64, 4),
      1e-3F
  );
}

TEST_P(MlxKernels, AttentionOfOneRow) {
  constexpr int kHeads = 4;
  constexpr int kKvHeads = 2;
  constexpr int kTokens = 77;
  constexpr int kDim = 64;
  const Floats q = random_floats(kHeads * kDim, 14, 2.0F);
  const Floats k = random_floats(kKvHeads * kTokens * kDim, 15);
  const Floats v = random_floats(kKvHeads * kTokens * kDim, 16);
  const float* queries = harness_.buffer(q);
  const float* keys = harness_.buffer(k);
  const float* values = harness_.buffer(v);
  auto* out = harness_.output<float>(q.size());
  const std::size_t head_stride = kTokens * kDim;
  const std::size_t row_stride = kDim;
  harness_.dispatch_threadgroups({kHeads, 1, 1}, {1024, 1, 1}, [&] {
    const Position& p = position();
    mk::sdpa_vector<float, kDim>(
        queries,
        keys,
        values,
        out,
        kHeads / kKvHeads,
        kTokens,
        head_stride,
        row_stride,
        head_stride,
        row_stride,
        0.125F,
        nullptr,
        nullptr,
        0,
        0,
        0,
        nullptr,
        kHeads,
        as_uint3(p.group),
        as_uint3(p.groups_per_grid),
        p.simd_group(),
        p.lane()
    );
  });
  expect_equal(
      harness_.read(out, q.size()),
      mx::fast::scaled_dot_product_attention(
          to_array(q, {1, kHeads, 1, kDim}),
          to_array(k, {1, kKvHeads, kTokens, kDim}),
          to_array(v, {1, kKvHeads, kTokens, kDim}),
          0.125F
      ),
      1e-4F
  );
}

TEST_P(MlxKernels, UnaryAndBinary) {
  constexpr unsigned int kSize = 1001;
  unsigned int size = kSize;
  const Floats a = random_floats(kSize, 17, 3.0F);
  const Floats b = random_floats(kSize, 18, 3.0F);
  const float* in_a = harness_.buffer(a);
  const float* in_b = harness_.buffer(b);
  auto* unary = harness_.output<float>(kSize);
  auto* binary = harness_.output<float>(kSize);
  harness_.dispatch_threads({(kSize + 1) / 2, 1, 1}, {256, 1, 1}, [&] {
    mk::unary_v<float, float, mk::Sigmoid>(in_a, unary, size, position().in_grid.x);
    mk::binary_vv<float, float, mk::Maximum>(in_a, in_b, binary, size, position().in_grid.x);
  });
  expect_equal(harness_.read(unary, kSize), mx::sigmoid(to_array(a, {kSize})));
  expect_equal(
      harness_.read(binary, kSize), mx::maximum(to_array(a, {kSize}), to_array(b, {kSize})), 0.0F
  );
}

TEST_P(MlxKernels, UnaryOfHalves) {
  constexpr unsigned int kSize = 203;
  unsigned int size = kSize;
  const Floats a = random_floats(kSize, 19, 3.0F);
  std::vector<mk::bfloat> halves;
  for (const float value : a) halves.emplace_back(value);
  const mk::bfloat* in = harness_.buffer(halves);
  auto* out = harness_.output<mk::bfloat>(kSize);
  harness_.dispatch_threads({(kSize + 3) / 4, 1, 1}, {64, 1, 1}, [&] {
    mk::unary_v<mk::bfloat, mk::bfloat, mk::Exp>(in, out, size, position().in_grid.x);
  });
  Floats results;
  for (const mk::bfloat value : harness_.read(out, kSize)) results.push_back(value);
  expect_equal(results, mx::exp(mx::astype(to_array(a, {kSize}), mx::bfloat16)), 1.0F / 128);
}

TEST_P(MlxKernels, Arange) {
  auto* out = harness_.output<float>(100);
  const float start = 3.0F;
  const float step = 0.5F;
  harness_.dispatch_threads({100, 1, 1}, {64, 1, 1}, [&] {
    mk::arange<float>(start, step, out, position().in_grid.x);
  });
  expect_equal(harness_.read(out, 100), mx::arange(3.0, 53.0, 0.5));
}

TEST_P(MlxKernels, Hadamard) {
  constexpr int kSize = 512;
  const Floats x = random_floats(2 * kSize, 20);
  const float* in = harness_.buffer(x);
  auto* out = harness_.output<float>(x.size());
  const float scale = 1.0F / std::sqrt(512.0F);
  harness_.dispatch_threads({kSize / 16, 2, 1}, {kSize / 16, 1, 1}, [&] {
    const Position& p = position();
    mk::hadamard_n<float, kSize, 16, 4>(
        in, out, scale, as_uint3(p.in_grid), as_uint3(p.threads_per_grid)
    );
  });
  expect_equal(
      harness_.read(out, x.size()), mx::hadamard_transform(to_array(x, {2, kSize})), 1e-4F
  );
}

INSTANTIATE_TEST_SUITE_P(Seeds, MlxKernels, ::testing::Values(1U, 2U));

}  // namespace
}  // namespace mlxs::msl
