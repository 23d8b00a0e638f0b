// packed_linear() against sums in double, for every path of this machine, every format and odd
// sizes.
#include "kernels/linear/packed_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/linear/testing/packed_sources.h"

namespace mlxs {
namespace {

using testing::TestWeight;
using testing::WeightForm;

std::string name_of(const WeightForm& form) {
  constexpr const char* kTypes[] = {"f32", "f16", "bf16"};
  const std::string type = kTypes[static_cast<int>(form.type)];
  if (form.bits == 0) return type;
  return std::to_string(form.bits) + "bit_g" + std::to_string(form.group_size) + "_" + type +
         (form.is_symmetric ? "_symmetric" : "");
}

std::vector<WeightForm> all_forms() {
  std::vector<WeightForm> forms;
  for (const ScaleType type : {ScaleType::float32, ScaleType::float16, ScaleType::bfloat16}) {
    forms.push_back({.type = type});
    for (const int group_size : {32, 64, 128}) {
      for (const int bits : {2, 3, 4, 6, 8})
        forms.push_back({.bits = bits, .group_size = group_size, .type = type});
    }
    for (const int bits : {4, 8})
      forms.push_back({.bits = bits, .group_size = 32, .type = type, .is_symmetric = true});
  }
  return forms;
}

std::vector<float> random_rows(int num_rows, int num_columns, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> x(static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(num_columns));
  for (float& value : x) value = static_cast<float>(random() >> 8U) / 8388608.0F - 1.0F;
  return x;
}

std::vector<float> multiply(
    CpuContext& context, const PackedLinear& weight, const std::vector<float>& x, int num_rows
) {
  context.scratch.reset();
  LinearInput input = make_linear_input(
      context.scratch, InputForm::int8 | InputForm::int16, num_rows, weight.num_columns
  );
  if (weight.input_form == InputForm::float32) input.forms = 0;
  prepare_input(context, x.data(), input);
  const auto num_outputs = static_cast<std::size_t>(weight.num_outputs);
  // Nothing may be written beside the outputs.
  const std::size_t stride = num_outputs + 3;
  std::vector<float> padded(static_cast<std::size_t>(num_rows) * stride, 7.0F);
  const LinearJob job{
      .weight = &weight,
      .input = &input,
      .out = padded.data(),
      .out_stride = static_cast<std::int64_t>(stride)
  };
  packed_linear(context, {&job, 1});
  std::vector<float> out;
  for (std::size_t row = 0; row < static_cast<std::size_t>(num_rows); ++row) {
    const float* from = padded.data() + row * stride;
    out.insert(out.end(), from, from + num_outputs);
    for (std::size_t i = num_outputs; i < stride; ++i) EXPECT_EQ(from[i], 7.0F);
  }
  return out;
}

// How far a product of quantized activations may be off: half a step of the activations of each
// group, times the magnitude of the weights there, and the rounding of a float sum.
struct Expected {
  double value = 0.0;
  double bound = 0.0;
};

Expected expected_product(
    const float* x, const double* weight, int num_columns, double largest_code
) {
  Expected result;
  double magnitude = 0.0;
  for (int first = 0; first < num_columns; first += kInputGroup) {
    const int last = std::min(first + kInputGroup, num_columns);
    double largest = 0.0;
    double weights = 0.0;
    for (int column = first; column < last; ++column) {
      result.value += x[column] * weight[column];
      magnitude += std::abs(x[column] * weight[column]);
      largest = std::max(largest, std::abs(double{x[column]}));
      weights += std::abs(weight[column]);
    }
    if (largest_code > 0.0) result.bound += 0.51 * largest / largest_code * weights;
    // Affine products are a difference of two sums of the size of the codes.
    magnitude += largest * 64.0;
  }
  result.bound += 4e-7 * magnitude + 1e-30;
  return result;
}

class EachPath : public ::testing::TestWithParam<std::tuple<CpuPath, Precision>> {
 protected:
  [[nodiscard]] CpuOptions options(int num_threads) const {
    return {
        .num_threads = num_threads,
        .precision = std::get<1>(GetParam()),
        .path = std::get<0>(GetParam())
    };
  }
};

double largest_code(InputForm form) {
  if (form == InputForm::float32) return 0.0;
  return form == InputForm::int8 ? 127.0 : 32767.0;
}

TEST_P(EachPath, MatchesSumsInDouble) {
  CpuContext context(options(2));
  constexpr int kNumColumns = 256;
  for (const WeightForm& form : all_forms()) {
    for (const int num_outputs : {1, 41, 80}) {
      const TestWeight source(form, num_outputs, kNumColumns, 3);
      const PackedLinear weight = pack_linear(context, source.source(/*has_bias=*/true));
      for (const int num_rows : {1, 2, 3, 7, 13}) {
        SCOPED_TRACE(name_of(form) + " N=" + std::to_string(num_outputs));
        const std::vector<float> x = random_rows(num_rows, kNumColumns, 5);
        const std::vector<float> out = multiply(context, weight, x, num_rows);
        for (std::size_t i = 0; i < out.size(); ++i) {
          const std::size_t row = i / static_cast<std::size_t>(num_outputs);
          const std::size_t output = i % static_cast<std::size_t>(num_outputs);
          const Expected expected = expected_product(
              x.data() + row * kNumColumns,
              source.values().data() + output * kNumColumns,
              kNumColumns,
              largest_code(weight.input_form)
          );
          ASSERT_NEAR(out[i], expected.value + source.bias()[output], expected.bound) << i;
        }
      }
    }
  }
}

TEST_P(EachPath, TakesDenseWeightsOfAnyWidth) {
  CpuContext context(options(1));
  for (const ScaleType type : {ScaleType::float32, ScaleType::float16, ScaleType::bfloat16}) {
    for (const int num_columns : {1, 5, 67}) {
      const TestWeight source({.type = type}, 33, num_columns, 3);
      const PackedLinear weight = pack_linear(context, source.source());
      const std::vector<float> x = random_rows(5, num_columns, 5);
      const std::vector<float> out = multiply(context, weight, x, 5);
      for (std::size_t i = 0; i < out.size(); ++i) {
        const Expected expected = expected_product(
            x.data() + i / 33 * static_cast<std::size_t>(num_columns),
            source.values().data() + i % 33 * static_cast<std::size_t>(num_columns),
            num_columns,
            0.0
        );
        ASSERT_NEAR(out[i], expected.value, expected.bound) << i;
      }
    }
  }
}

TEST_P(EachPath, ARowsResultDoesNotDependOnItsBatchOrOnThreads) {
  CpuContext alone(options(1));
  CpuContext together(options(3));
  for (const WeightForm& form : all_forms()) {
    SCOPED_TRACE(name_of(form));
    const TestWeight source(form, 144, 256, 1);
    const PackedLinear weight = pack_linear(alone, source.source(/*has_bias=*/true));
    const std::vector<float> x = random_rows(61, 256, 2);
    const std::vector<float> all = multiply(together, weight, x, 61);
    for (std::size_t row = 0; row < 61; row += 5) {
      const std::vector<float> one(
          x.begin() + static_cast<std::ptrdiff_t>(row * 256),
          x.begin() + static_cast<std::ptrdiff_t>(row * 256 + 256)
      );
      const std::vector<float> out = multiply(alone, weight, one, 1);
      for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], all[row * 144 + i]) << row;
    }
  }
}

TEST_P(EachPath, NeverLaundersInfinityOrNan) {
  CpuContext context(options(1));
  for (const WeightForm& form : all_forms()) {
    SCOPED_TRACE(name_of(form));
    const TestWeight source(form, 20, 256, 1);
    const PackedLinear weight = pack_linear(context, source.source());
    for (const float value :
         {std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> x = random_rows(8, 256, 2);
      x[3 * 256 + 77] = value;
      const std::vector<float> out = multiply(context, weight, x, 8);
      for (std::size_t i = 0; i < out.size(); ++i) {
        // A dense zero times infinity is not a number either, so no weight hides it.
        ASSERT_EQ(std::isfinite(out[i]), i / 20 != 3) << i;
      }
    }
  }
}

TEST_P(EachPath, TakesTinyAndLargeActivations) {
  CpuContext context(options(1));
  for (const WeightForm& form : all_forms()) {
    SCOPED_TRACE(name_of(form));
    const TestWeight source(form, 17, 128, 1);
    const PackedLinear weight = pack_linear(context, source.source());
    for (const float factor : {0x1p-149F, 0x1p-130F, 0x1p-60F, 0x1p+60F, 0x1p+100F}) {
      std::vector<float> x = random_rows(3, 128, 2);
      for (float& value : x) value *= factor;
      for (std::size_t i = 32; i < 64; ++i) x[i] = 0.0F;
      const std::vector<float> out = multiply(context, weight, x, 3);
      for (std::size_t i = 0; i < out.size(); ++i) {
        Expected expected = expected_product(
            x.data() + i / 17 * 128,
            source.values().data() + i % 17 * 128,
            128,
            largest_code(weight.input_form)
        );
        // Below 2^-100 activations count as zero.
        expected.bound += 128.0 * 32.0 * 0x1p-100;
        ASSERT_NEAR(out[i], expected.value, expected.bound) << i;
      }
    }
  }
}

TEST_P(EachPath, AddsToWhatIsThere) {
  CpuContext context(options(2));
  const TestWeight source({.bits = 4, .group_size = 32}, 40, 64, 1);
  const PackedLinear weight = pack_linear(context, source.source());
  const std::vector<float> x = random_rows(7, 64, 2);
  const std::vector<float> product = multiply(context, weight, x, 7);
  std::vector<float> out = random_rows(7, 40, 3);
  const std::vector<float> before = out;
  LinearInput input = make_linear_input(context.scratch, InputForm::int8 | InputForm::int16, 7, 64);
  prepare_input(context, x.data(), input);
  const LinearJob job{
      .weight = &weight, .input = &input, .out = out.data(), .out_stride = 40, .addend = out.data()
  };
  packed_linear(context, {&job, 1});
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], product[i] + before[i]);
}

std::string path_and_precision(const ::testing::TestParamInfo<EachPath::ParamType>& instance) {
  constexpr const char* kNames[] = {"_exact", "_balanced", "_fast"};
  return std::string(cpu_path_name(std::get<0>(instance.param))) +
         kNames[static_cast<int>(std::get<1>(instance.param))];
}

INSTANTIATE_TEST_SUITE_P(
    Paths,
    EachPath,
    ::testing::Combine(
        ::testing::ValuesIn(available_cpu_paths()),
        ::testing::Values(Precision::exact, Precision::balanced, Precision::fast)
    ),
    path_and_precision
);

TEST(PackLinear, GivesRowsBackExactly) {
  CpuContext context({.num_threads = 1});
  for (const WeightForm& form : all_forms()) {
    SCOPED_TRACE(name_of(form));
    const TestWeight source(form, 35, 128, 1);
    const PackedLinear weight = pack_linear(context, source.source());
    std::vector<float> rows(std::size_t{30} * 128);
    unpack_rows(weight, 3, 30, rows.data());
    for (std::size_t i = 0; i < rows.size(); ++i)
      ASSERT_EQ(rows[i], static_cast<float>(source.values()[i + 3 * 128])) << i;
  }
}

TEST(PackLinear, DropsBiasesThatAreAZeroPoint) {
  CpuContext context({.num_threads = 1});
  const TestWeight plain({.bits = 4, .group_size = 32, .type = ScaleType::float16}, 32, 64, 1);
  const TestWeight symmetric(
      {.bits = 4, .group_size = 32, .type = ScaleType::float16, .is_symmetric = true}, 32, 64, 1
  );
  EXPECT_EQ(pack_linear(context, plain.source()).num_bytes(), 32 * 64 / 2 + 32 * 2 * 4);
  EXPECT_EQ(pack_linear(context, symmetric.source()).num_bytes(), 32 * 64 / 2 + 32 * 2 * 2);
}

TEST(PackLinear, RefusesSizesThatDoNotFit) {
  CpuContext context({.num_threads = 1});
  const TestWeight weight({.bits = 4, .group_size = 32}, 4, 64, 1);
  LinearSource source = weight.source();
  source.num_columns = 48;
  EXPECT_THROW((void)pack_linear(context, source), std::invalid_argument);
  source = weight.source();
  source.bits = 5;
  EXPECT_THROW((void)pack_linear(context, source), std::invalid_argument);
}

}  // namespace
}  // namespace mlxs
