// Gathered rows against the table's own, dense and quantized.
#include "kernels/embedding/embedding.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "kernels/cpu/cpu_context.h"
#include "kernels/linear/linear_cpu.h"
#include "kernels/testing/arrays.h"

namespace mlxs {
namespace {

using testing::expect_close;
using testing::random_array;

TEST(Embedding, GathersRowsOfADenseTable) {
  const mx::array rows = random_array({10, 6}, 1, mx::bfloat16);
  const Linear table{.weight = rows};
  const mx::array tokens = mx::array({9, 0, 9}, mx::int32);
  const mx::array gathered = embedding(tokens, table, mx::float32);
  EXPECT_EQ(gathered.dtype(), mx::float32);
  expect_close(gathered, mx::take(rows, tokens, 0), 0.0F);
}

TEST(Embedding, ExpandsOnlyGatheredRowsOfAQuantizedTable) {
  for (const int bits : {2, 3, 4, 6, 8}) {
    const std::vector<mx::array> parts = mx::quantize(random_array({10, 64}, 2), 32, bits);
    const Linear table{
        .weight = parts[0], .scales = parts[1], .biases = parts[2], .bits = bits, .group_size = 32
    };
    const mx::array expanded = mx::dequantize(parts[0], parts[1], parts[2], 32, bits);
    const mx::array tokens = mx::array({3, 3, 7, 0}, mx::int32);
    expect_close(embedding(tokens, table, mx::float32), mx::take(expanded, tokens, 0), 0.0F);
  }
}

TEST(Embedding, ReadsRowsOfAPackedTable) {
  const auto cpu = std::make_shared<CpuContext>(CpuOptions{.num_threads = 2});
  const mx::array tokens = mx::array({3, 40, 7, 0, 40, 39}, mx::int32);
  Linear dense{.weight = random_array({41, 70}, 1, mx::bfloat16)};
  dense.weight.eval();
  expect_close(
      embedding(tokens, packed_on(cpu, dense), mx::float32),
      embedding(tokens, dense, mx::float32),
      0.0F
  );
  for (const int bits : {2, 3, 4, 6, 8}) {
    const std::vector<mx::array> parts = mx::quantize(random_array({41, 128}, 2), 64, bits);
    mx::eval(parts);
    const Linear table{
        .weight = parts[0], .scales = parts[1], .biases = parts[2], .bits = bits, .group_size = 64
    };
    expect_close(
        embedding(tokens, packed_on(cpu, table), mx::float32),
        embedding(tokens, table, mx::float32),
        1e-6F
    );
  }
}

}  // namespace
}  // namespace mlxs
