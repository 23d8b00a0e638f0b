// linear() against a plain loop, dense and quantized, in odd sizes, by MLX and by the CPU's kernel.
#include "kernels/linear/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/linear/linear_cpu.h"
#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::host_values;
using testing::random_array;

std::vector<float> loop_product(
    const mx::array& x, const mx::array& weight, const std::optional<mx::array>& bias
) {
  const auto rows = static_cast<std::size_t>(x.shape(0));
  const auto depth = static_cast<std::size_t>(x.shape(1));
  const auto columns = static_cast<std::size_t>(weight.shape(0));
  const std::vector<float> left = host_values(x);
  const std::vector<float> right = host_values(weight);
  const std::vector<float> added = bias ? host_values(*bias) : std::vector<float>(columns, 0.0F);
  std::vector<float> product(rows * columns);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < columns; ++column) {
      double sum = added[column];
      for (std::size_t k = 0; k < depth; ++k)
        sum += double{left[row * depth + k]} * right[column * depth + k];
      product[row * columns + column] = static_cast<float>(sum);
    }
  }
  return product;
}

Linear quantized(const mx::array& weight, int bits, int group_size) {
  const std::vector<mx::array> parts = mx::quantize(weight, group_size, bits);
  return Linear{
      .weight = parts[0],
      .scales = parts[1],
      .biases = parts[2],
      .bits = bits,
      .group_size = group_size
  };
}

Linear dense(const mx::array& weight, std::optional<mx::array> bias = {}) {
  return Linear{.weight = weight, .bias = std::move(bias)};
}

Linear evaluated(Linear layer) {
  layer.weight.eval();
  if (layer.scales) mx::eval(*layer.scales, *layer.biases);
  return layer;
}

// With one thread, with several, and by MLX.
class LinearBy : public ::testing::TestWithParam<int> {
 protected:
  [[nodiscard]] Linear on_team(Linear layer) const {
    return cpu_ ? packed_on(cpu_, evaluated(std::move(layer))) : layer;
  }

 private:
  std::shared_ptr<CpuContext> cpu_ =
      GetParam() > 0 ? std::make_shared<CpuContext>(CpuOptions{.num_threads = GetParam()})
                     : nullptr;
};

TEST_P(LinearBy, DenseMatchesLoop) {
  for (const mx::Dtype dtype : {mx::float32, mx::float16, mx::bfloat16}) {
    for (const int num_rows : {1, 2, 5, 17}) {
      const mx::array x = random_array({num_rows, 67}, 1);
      const mx::array weight = random_array({33, 67}, 2, dtype);
      const mx::array bias = random_array({33}, 3);
      expect_close(
          host_values(linear(x, on_team(dense(weight)))), loop_product(x, weight, {}), 1e-5F
      );
      expect_close(
          host_values(linear(x, on_team(dense(weight, bias)))), loop_product(x, weight, bias), 1e-5F
      );
    }
  }
}

TEST_P(LinearBy, QuantizedMatchesLoopOverDequantizedWeights) {
  for (const int bits : {2, 3, 4, 6, 8}) {
    for (const int group_size : {32, 64, 128}) {
      const Linear plain = quantized(random_array({41, 256}, 4), bits, group_size);
      const mx::array expanded = dense_weight(plain);
      Linear biased = plain;
      biased.bias = random_array({41}, 6);
      const Linear layer = on_team(plain);
      const Linear biased_layer = on_team(biased);
      for (const int num_rows : {1, 3, 8}) {
        SCOPED_TRACE(
            ::testing::Message() << bits << " bits, groups of " << group_size << ", rows "
                                 << num_rows
        );
        const mx::array x = random_array({num_rows, 256}, 5);
        expect_close(host_values(linear(x, layer)), loop_product(x, expanded, {}), 2e-5F);
        expect_close(
            host_values(linear(x, biased_layer)), loop_product(x, expanded, biased.bias), 2e-5F
        );
      }
    }
  }
}

TEST_P(LinearBy, KeepsTheActivationsType) {
  const Linear layer = on_team(quantized(random_array({8, 64}, 6), 4, 32));
  for (const mx::Dtype dtype : {mx::float32, mx::float16, mx::bfloat16}) {
    EXPECT_EQ(linear(random_array({2, 64}, 7, dtype), layer).dtype(), dtype);
    EXPECT_EQ(
        linear(random_array({2, 64}, 7, dtype), on_team(dense(random_array({8, 64}, 8)))).dtype(),
        dtype
    );
  }
}

TEST_P(LinearBy, TakesActivationsThatAreNotRowMajor) {
  const mx::array x = mx::transpose(random_array({64, 3}, 9));
  const mx::array weight = random_array({8, 64}, 10);
  expect_close(host_values(linear(x, on_team(dense(weight)))), loop_product(x, weight, {}), 1e-5F);
}

INSTANTIATE_TEST_SUITE_P(Threads, LinearBy, ::testing::Values(0, 1, 3));

TEST(LinearCpu, ARowsResultDoesNotDependOnItsBatchOrOnThreads) {
  const Linear plain = evaluated(quantized(random_array({130, 576}, 1), 4, 32));
  const mx::array x = random_array({9, 576}, 2);
  const Linear one = packed_on(std::make_shared<CpuContext>(CpuOptions{.num_threads = 1}), plain);
  const Linear three = packed_on(std::make_shared<CpuContext>(CpuOptions{.num_threads = 3}), plain);
  const std::vector<float> together = host_values(linear_cpu(x, one));
  for (int row = 0; row < 9; ++row) {
    const std::vector<float> alone =
        host_values(linear_cpu(mx::slice(x, {row, 0}, {row + 1, 576}), three));
    for (std::size_t i = 0; i < alone.size(); ++i) {
      ASSERT_EQ(alone[i], together[static_cast<std::size_t>(row) * alone.size() + i]);
    }
  }
}

TEST(LinearCpu, TheReferenceReadsAPackedWeight) {
  const auto cpu = std::make_shared<CpuContext>(CpuOptions{.num_threads = 1});
  Linear plain = evaluated(quantized(random_array({21, 128}, 1), 4, 64));
  plain.bias = random_array({21}, 3);
  const mx::array x = random_array({4, 128}, 2);
  const Linear layer = packed_on(cpu, plain);
  expect_close(dense_weight(layer), dense_weight(plain), 1e-6F);
  expect_close(linear_reference(x, layer), linear_reference(x, plain), 1e-5F);
}

TEST(LinearCpu, ExpandsEveryHalfExactly) {
  std::vector<std::uint16_t> bits(65536);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  for (const CpuPath path : available_cpu_paths()) {
    for (const mx::Dtype dtype : {mx::float16, mx::bfloat16}) {
      SCOPED_TRACE(cpu_path_name(path));
      const mx::array halves =
          mx::view(mx::array(bits.data(), mx::Shape{65536, 1}, mx::uint16), dtype);
      const Linear layer = packed_on(
          std::make_shared<CpuContext>(CpuOptions{.num_threads = 1, .path = path}),
          evaluated(dense(mx::contiguous(halves)))
      );
      const std::vector<float> products = host_values(linear_cpu(mx::ones({1, 1}), layer));
      const std::vector<float> expected = host_values(halves);
      for (std::size_t i = 0; i < products.size(); ++i) {
        if (std::isnan(expected[i])) {
          ASSERT_TRUE(std::isnan(products[i])) << i;
        } else {
          ASSERT_EQ(products[i], expected[i]) << i;
        }
      }
    }
  }
}

TEST(Linear, RefusesShapesThatDoNotFit) {
  EXPECT_THROW(
      (void)linear(random_array({2, 64}, 1), dense(random_array({8, 63}, 2))), std::invalid_argument
  );
  EXPECT_THROW(
      (void)linear(random_array({64}, 1), dense(random_array({8, 64}, 2))), std::invalid_argument
  );
  EXPECT_THROW(
      (void)linear(random_array({2, 96}, 1), quantized(random_array({8, 64}, 2), 4, 32)),
      std::invalid_argument
  );
}

}  // namespace
}  // namespace mlxs
