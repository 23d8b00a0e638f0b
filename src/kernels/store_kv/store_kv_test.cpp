// Values against the reference; and that the pool never moves or grows, step by step and pipelined.
#include "kernels/store_kv/store_kv.h"

#include <gtest/gtest.h>
#include <mlx/memory.h>
#include <mlx/utils.h>

#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

class StoreKv : public ::testing::Test {
 protected:
  // Behind a pointer, as its destructor may throw and a fixture's must not.
  std::unique_ptr<mx::StreamContext> on_cpu_ =
      std::make_unique<mx::StreamContext>(mx::Device(mx::Device::cpu));
};

TEST_F(StoreKv, MatchesTheReferenceInEveryType) {
  for (const mx::Dtype dtype : {mx::float32, mx::float16, mx::bfloat16}) {
    mx::array pool = random_array({3, 4, 2, 5}, 1, dtype);
    const mx::array rows = random_array({3, 2, 5}, 2);
    const mx::array slots = mx::array({11, 0, 6}, mx::int32);
    const std::vector<float> expected = host_values(store_kv_reference(pool, rows, slots));
    expect_close(host_values(store_kv(pool, rows, slots)), expected, 0.0F);
  }
}

TEST_F(StoreKv, TakesRowsThatAreNotRowMajor) {
  mx::array pool = mx::zeros({2, 2, 3, 4});
  const mx::array rows = mx::transpose(random_array({3, 2, 4}, 2), {1, 0, 2});
  const mx::array stored = store_kv(pool, rows, mx::array({3, 1}, mx::int32));
  const mx::array flat = mx::reshape(stored, {4, 3, 4});
  expect_close(mx::take(flat, mx::array({3, 1}, mx::int32), 0), rows, 0.0F);
}

TEST_F(StoreKv, WritesInPlaceAlsoWhenThePoolHasOtherReferences) {
  mx::array pool = mx::zeros({2, 2, 1, 2});
  pool.eval();
  const mx::array second = pool;
  const float* address = pool.data<float>();
  mx::array stored = store_kv(pool, mx::ones({1, 1, 2}), mx::array({2}, mx::int32));
  stored.eval();
  EXPECT_EQ(stored.data<float>(), address);
  EXPECT_EQ(second.data<float>()[4], 1.0F);
}

enum class Pace { step_by_step, pipelined };

// Each step writes one row, and reads the whole pool through the result as attention does.
void run_steps(Pace pace) {
  const int num_slots = 64 * 16;
  mx::array pool = mx::zeros({64, 16, 4, 64});
  pool.eval();
  const float* address = pool.data<float>();
  std::optional<mx::array> previous_sum;
  std::size_t settled_peak = 0;
  for (int step = 0; step < 1000; ++step) {
    const int slot = step * 37 % num_slots;
    const mx::array row = mx::full({1, 4, 64}, static_cast<float>(step + 1));
    pool = store_kv(pool, row, mx::array({slot}, mx::int32));
    mx::array sum = mx::sum(mx::take(pool, mx::array({slot / 16}, mx::int32), 0));
    mx::async_eval(sum, pool);
    if (pace == Pace::step_by_step) sum.eval();
    if (previous_sum) previous_sum->eval();
    previous_sum = sum;
    if (step == 20) settled_peak = mx::get_peak_memory();
  }
  pool.eval();
  EXPECT_EQ(pool.data<float>(), address);
  EXPECT_LE(mx::get_peak_memory(), settled_peak + 64 * 1024);
  EXPECT_EQ(pool.data<float>()[static_cast<std::size_t>(999 * 37 % num_slots) * 256], 1000.0F);
}

TEST_F(StoreKv, PoolStaysInPlaceOver1000Steps) {
  mx::reset_peak_memory();
  run_steps(Pace::step_by_step);
}

TEST_F(StoreKv, PoolStaysInPlaceOver1000PipelinedSteps) {
  mx::reset_peak_memory();
  run_steps(Pace::pipelined);
}

TEST_F(StoreKv, RefusesSlotsOutsideThePoolBeforeWriting) {
  for (const int bad : {4, -1}) {
    mx::array pool = mx::zeros({2, 2, 1, 2});
    pool.eval();
    mx::array stored = store_kv(pool, mx::ones({2, 1, 2}), mx::array({0, bad}, mx::int32));
    EXPECT_THROW(stored.eval(), std::exception);
    EXPECT_EQ(pool.data<float>()[0], 0.0F);
  }
}

TEST(QuantizeKv, IsWithinHalfAStepOfTheValues) {
  const mx::array rows = random_array({7, 3, 33}, 4) * mx::array(5.0F);
  const QuantizedRows quantized = quantize_kv(rows);
  const std::vector<float> values = host_values(rows);
  const std::vector<float> stored = host_values(quantized.rows);
  const std::vector<float> scales = host_values(quantized.scales);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float scale = scales[i / 33];
    ASSERT_NEAR(stored[i] * scale, values[i], 0.501F * scale);
  }
}

TEST(QuantizeKv, KeepsZerosAndShowsWhatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> values{0.0F, 0.0F, 1.0F, infinity, NAN, 2.0F, tiny, -tiny, 3e38F, 3e38F};
  const QuantizedRows quantized = quantize_kv(mx::array(values.data(), {5, 1, 2}, mx::float32));
  const std::vector<float> scales = host_values(quantized.scales);
  EXPECT_EQ(scales[0], 0.0F);
  EXPECT_FALSE(std::isfinite(scales[1]));
  EXPECT_FALSE(std::isfinite(scales[2]));
  EXPECT_EQ(scales[3], 0.0F);
  EXPECT_TRUE(std::isfinite(scales[4]));
  EXPECT_EQ(host_values(quantized.rows)[8], 127.0F);
}

TEST_F(StoreKv, StoresALayerInEachType) {
  const mx::array keys = random_array({2, 2, 8}, 1);
  const mx::array values = random_array({2, 2, 8}, 2);
  const mx::array slots = mx::array({5, 2}, mx::int32);
  const mx::array zeros = mx::zeros({2, 4, 2, 8});
  KvLayer plain{.keys = mx::astype(zeros, mx::bfloat16), .values = mx::astype(zeros, mx::bfloat16)};
  store_kv(plain, keys, values, slots);
  const auto row = [](const mx::array& pool, int slot) {
    return mx::take(mx::reshape(pool, {8, 2, -1}), mx::array({slot}, mx::int32), 0);
  };
  const mx::array second = mx::slice(values, {1, 0, 0}, {2, 2, 8});
  expect_close(row(plain.values, 2), second, 0.01F);
  const mx::array scales = mx::zeros({2, 4, 2, 1});
  KvLayer quantized{
      .keys = mx::astype(zeros, mx::int8),
      .values = mx::astype(zeros, mx::int8),
      .key_scales = scales,
      .value_scales = mx::zeros({2, 4, 2, 1})
  };
  store_kv(quantized, keys, values, slots);
  expect_close(row(quantized.values, 2) * row(*quantized.value_scales, 2), second, 0.01F);
  expect_close(row(*quantized.key_scales, 3), mx::zeros({1, 2, 1}), 0.0F);
}

TEST_F(StoreKv, RefusesShapesThatDoNotFit) {
  const mx::array pool = mx::zeros({2, 2, 1, 2});
  const mx::array slots = mx::array({0}, mx::int32);
  EXPECT_THROW((void)store_kv(pool, mx::ones({2, 1, 2}), slots), std::invalid_argument);
  EXPECT_THROW((void)store_kv(pool, mx::ones({1, 2, 2}), slots), std::invalid_argument);
  EXPECT_THROW(
      (void)store_kv(pool, mx::ones({1, 1, 2}), mx::astype(slots, mx::int64)), std::invalid_argument
  );
}

}  // namespace
}  // namespace mlxs
