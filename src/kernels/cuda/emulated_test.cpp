// The kernels' own text run thread by thread on the CPU against double precision, over odd sizes.
// Built once for each set of the MLXS_ macros. What only a GPU shows (memory order, the real
// rounding of its tensor cores) is left to the tests labelled gpu.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

// In the order in which a program's parts follow each other, the emulator in place of CUDA's own.
// clang-format off
#include "kernels/cuda/testing/emulator.h"
#include "kernels/cuda/kernel_params.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/warpgroup.cuh"
#include "kernels/linear/linear.cuh"
#include "kernels/linear/linear.cu"
#if MLXS_WEIGHT_BITS != 16
#include "kernels/linear/wide_linear.cu"
#endif
#include "kernels/paged_attention/attention.cuh"
#include "kernels/paged_attention/decode_attention.cu"
#include "kernels/paged_attention/prefill_attention.cu"
#include "kernels/store_kv/store_kv.cu"
#include "kernels/rms_norm/rms_norm.cu"
#include "kernels/embedding/embedding.cu"
#include "kernels/rope/rope.cu"
#include "kernels/swiglu/swiglu.cu"
// clang-format on

namespace mlxs::cuda {
namespace {

using Halves = std::vector<Half>;
constexpr double kHalfError = MLXS_HALF == 0 ? 1.0 / 128 : 1.0 / 1024;

class Random {
 public:
  explicit Random(unsigned int seed) : generator_(seed) {}
  double operator()() { return static_cast<double>(generator_() >> 8) / 8388608.0 - 1.0; }
  unsigned int word() { return static_cast<unsigned int>(generator_()); }
  Halves halves(std::size_t num_values, double spread = 1.0) {
    Halves values(num_values);
    for (Half& value : values) value = to_half(static_cast<float>(spread * (*this)()));
    return values;
  }

 private:
  std::mt19937 generator_;
};

double value(Half bits) { return to_float(bits); }

void expect_near(double actual, double expected, double scale, const char* what, int at) {
  ASSERT_NEAR(actual, expected, kHalfError * std::max(scale, std::abs(expected)))
      << what << " at " << at;
}

// A weight of N rows and K columns as the kernel takes it, and its values.
struct Weight {
  Halves dense, scales, biases;
  std::vector<unsigned int> words;
  std::vector<double> values;

  [[nodiscard]] const void* data() const {
    return words.empty() ? static_cast<const void*>(dense.data()) : words.data();
  }
};

Weight make_weight(int num_outputs, int num_columns, Random& random) {
  Weight weight;
  const auto size = static_cast<std::size_t>(num_outputs) * static_cast<std::size_t>(num_columns);
#if MLXS_WEIGHT_BITS == 16
  weight.dense = random.halves(size);
  for (const Half bits : weight.dense) weight.values.push_back(value(bits));
#else
  weight.scales = random.halves(size / MLXS_GROUP_SIZE, 1.6 / (1 << MLXS_WEIGHT_BITS));
  weight.biases = random.halves(size / MLXS_GROUP_SIZE);
  constexpr std::size_t kPerWord = 32 / MLXS_WEIGHT_BITS;
  for (std::size_t i = 0; i < size / kPerWord; ++i) weight.words.push_back(random.word());
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned int whole = (weight.words[i / kPerWord] >> (i % kPerWord * MLXS_WEIGHT_BITS)) &
                               ((1U << MLXS_WEIGHT_BITS) - 1);
    const std::size_t group = i / MLXS_GROUP_SIZE;
    weight.values.push_back(value(weight.scales[group]) * whole + value(weight.biases[group]));
  }
#endif
  return weight;
}

struct LinearCase {
  int num_rows, num_outputs, num_columns;
};

using LinearKernelFunction = void (*)(LinearParams);

// How a kernel is launched; the four kernels of one way to multiply.
struct LinearKernels {
  const char* name;
  int rows;     // of a block
  int outputs;  // of a block, and gates
  int gates;
  int num_splits;
  bool is_ordered;  // x is as order_columns() writes it
  LinearKernelFunction residual, store_float, gated;
};
const LinearKernels kLinearKernels[] = {
    {"streamed", 8, 16, 16, 1, false, linear_residual, linear_float, linear_gated},
#if MLXS_WEIGHT_BITS != 16
    {"wide", 16, 128, 128, 1, true, wide_16_residual, wide_16_float, wide_16_gated},
    {"wide", 32, 128, 128, 3, true, wide_32_residual, wide_32_float, wide_32_gated},
    {"wide", 64, 128, 128, 2, true, wide_64_residual, wide_64_float, wide_64_gated},
    {"wide", 128, 128, 128, 1, true, wide_128_residual, wide_128_float, wide_128_gated},
#endif
};

// x as the kernels read it.
Halves inputs_of(const LinearKernels& kernels, const Halves& x, int num_rows, int num_columns) {
  if (!kernels.is_ordered) return x;
#if MLXS_WEIGHT_BITS != 16
  const unsigned int num_stages = (static_cast<unsigned int>(num_columns) + 127) / 128;
  Halves ordered(static_cast<std::size_t>((num_rows + 7) / 8 * 8) * num_stages * 128, 0);
  OrderParams p{x.data(), ordered.data(), num_rows, num_columns};
  Emulator::instance().launch(
      {(static_cast<unsigned int>(num_rows) + 7) / 8, num_stages, 1}, 128, [&] { order_columns(p); }
  );
  return ordered;
#else
  return x;
#endif
}

double product(const Weight& weight, const Halves& x, int row, int output, int num_columns) {
  double sum = 0.0;
  for (int k = 0; k < num_columns; ++k)
    sum += weight.values[static_cast<std::size_t>(output * num_columns + k)] *
           value(x[static_cast<std::size_t>(row * num_columns + k)]);
  return sum;
}

void check_linear(const LinearKernels& kernels, const LinearCase& size) {
  Random random(7);
  const auto [num_rows, num_outputs, num_columns] = size;
  const Weight weight = make_weight(num_outputs, num_columns, random);
  const Halves x = random.halves(static_cast<std::size_t>(num_rows * num_columns));
  const Halves bias = random.halves(static_cast<std::size_t>(num_outputs));
  Halves residual = random.halves(static_cast<std::size_t>(num_rows * num_outputs));
  Halves out(residual.size(), 0x7fff);
  std::vector<float> floats(residual.size(), -1e30F);
  LinearParams p{};
  p.weight = weight.data();
  p.scales = weight.scales.data();
  p.biases = weight.biases.data();
  p.bias = bias.data();
  const Halves inputs = inputs_of(kernels, x, num_rows, num_columns);
  p.x = inputs.data();
  p.residual = residual.data();
  p.num_rows = num_rows;
  p.num_outputs = num_outputs;
  p.num_columns = num_columns;
  p.gate_offset = num_outputs / 2;
  const auto ceil_div = [](int value, int divisor) {
    return static_cast<unsigned int>((value + divisor - 1) / divisor);
  };
  const unsigned int num_tiles = ceil_div(num_rows, kernels.rows);
  const auto num_splits = static_cast<unsigned int>(kernels.num_splits);
  const auto grid = [&](unsigned int num_blocks) {
    return kernels.is_ordered ? Index3{num_tiles, num_blocks, num_splits}
                              : Index3{num_blocks, num_tiles, 1};
  };
  std::vector<float> partials(std::size_t{1} << 20, 1e30F);
  std::vector<unsigned int> arrivals(64, 0);
  p.partials = partials.data();
  p.arrivals = arrivals.data();
  p.num_splits = kernels.num_splits;
  Emulator& gpu = Emulator::instance();
  const unsigned int num_blocks = ceil_div(num_outputs, kernels.outputs);
  p.out = out.data();
  gpu.launch(grid(num_blocks), 256, [&] { kernels.residual(p); });
  p.out = floats.data();
  gpu.launch(grid(num_blocks), 256, [&] { kernels.store_float(p); });
  Halves gated(static_cast<std::size_t>(num_rows * p.gate_offset), 0x7fff);
  p.out = gated.data();
  gpu.launch(grid(ceil_div(p.gate_offset, kernels.gates)), 256, [&] { kernels.gated(p); });
  for (const unsigned int count : arrivals) EXPECT_EQ(count, 0U);
  const double scale = 2.0 * std::sqrt(num_columns);
  for (int row = 0; row < num_rows; ++row) {
    for (int output = 0; output < num_outputs; ++output) {
      const int at = row * num_outputs + output;
      const double sum = product(weight, x, row, output, num_columns) +
                         value(bias[static_cast<std::size_t>(output)]);
      expect_near(floats[static_cast<std::size_t>(at)], sum, scale, "float", at);
      expect_near(
          value(out[static_cast<std::size_t>(at)]),
          sum + value(residual[static_cast<std::size_t>(at)]),
          scale,
          "residual",
          at
      );
      if (output >= p.gate_offset) continue;
      const int pair = row * num_outputs + output + p.gate_offset;
      const double gate = floats[static_cast<std::size_t>(at)];
      const double expected =
          gate / (1.0 + std::exp(-gate)) * floats[static_cast<std::size_t>(pair)];
      expect_near(
          value(gated[static_cast<std::size_t>(row * p.gate_offset + output)]),
          expected,
          1e-2,
          "gated",
          at
      );
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(LinearCu, MatchesTheProduct) {
  for (const LinearKernels& kernels : kLinearKernels) {
    for (const LinearCase& size :
         {LinearCase{1, 38, 128}, {3, 16, 576}, {kernels.rows + 1, 50, 384}}) {
      check_linear(kernels, size);
      if (HasFatalFailure())
        FAIL() << kernels.name << " " << kernels.rows << " rows, K " << size.num_columns;
    }
  }
}

#if MLXS_WEIGHT_BITS != 16
TEST(LinearCu, Dequantizes) {
  Random random(3);
  const Weight weight = make_weight(5, 256, random);
  Halves out(weight.values.size(), 0x7fff);
  DequantizeParams p{
      weight.data(),
      weight.scales.data(),
      weight.biases.data(),
      out.data(),
      static_cast<long long>(weight.words.size())
  };
  Emulator::instance().launch({2, 1, 1}, 256, [&] { dequantize(p); });
  for (std::size_t i = 0; i < out.size(); ++i)
    expect_near(value(out[i]), weight.values[i], 1e-2, "weight", static_cast<int>(i));
}
#endif

TEST(NormCu, AddsAndNorms) {
  Random random(5);
  constexpr int kRows = 3;
  constexpr int kColumns = 584;
  const Halves x = random.halves(kRows * kColumns);
  const Halves y = random.halves(kRows * kColumns);
  const Halves post = random.halves(kColumns);
  const Halves pre = random.halves(kColumns);
  for (int features = 0; features < 8; ++features) {
    Halves stream = x;
    Halves out(x.size(), 0x7fff);
    const bool has_y = (features & 1) != 0;
    const bool has_post = (features & 2) != 0;
    const bool has_pre = (features & 4) != 0;
    NormParams p{
        stream.data(),
        has_y ? y.data() : nullptr,
        has_post ? post.data() : nullptr,
        has_pre ? pre.data() : nullptr,
        out.data(),
        kColumns,
        1e-5F
    };
    Emulator::instance().launch({kRows, 1, 1}, 256, [&] { norm_rows(p); });
    for (int row = 0; row < kRows; ++row) {
      const auto inverse = [row](const std::vector<double>& values) {
        double sum = 0.0;
        for (int i = 0; i < kColumns; ++i) {
          const double v = values[static_cast<std::size_t>(row * kColumns + i)];
          sum += v * v;
        }
        return 1.0 / std::sqrt(sum / kColumns + 1e-5);
      };
      std::vector<double> ys, xs;
      for (const Half bits : y) ys.push_back(value(bits));
      for (const Half bits : x) xs.push_back(value(bits));
      for (int i = 0; has_y && i < kColumns; ++i) {
        const auto at = static_cast<std::size_t>(row * kColumns + i);
        xs[at] +=
            has_post ? ys[at] * inverse(ys) * value(post[static_cast<std::size_t>(i)]) : ys[at];
      }
      for (int i = 0; i < kColumns; ++i) {
        const auto at = static_cast<std::size_t>(row * kColumns + i);
        const double expected =
            has_pre ? xs[at] * inverse(xs) * value(pre[static_cast<std::size_t>(i)]) : xs[at];
        expect_near(value(out[at]), expected, 1.0, "norm", static_cast<int>(at));
        if (HasFatalFailure()) FAIL() << "features " << features;
      }
    }
  }
}

// --- Attention.

constexpr int kPageSize = 16;
constexpr int kNumPages = 40;
constexpr int kNumKvHeads = 2;
constexpr int kQueryHeads = kNumKvHeads * (kHeads + (kHeads > 2 ? 1 : 0));  // a chunk and a rest
constexpr int kNumFrequencies = kHeadDim / 2 - 4;
constexpr int kWidth = (kQueryHeads + 2 * kNumKvHeads) * kHeadDim;

struct Sequence {
  int first_row, num_rows, context_length;
  std::vector<int> pages;
};

// The pool's values, in double precision as the kernels read them.
struct Pool {
  Halves keys, values;
  std::vector<signed char> key_bytes, value_bytes;
  std::vector<float> key_scales, value_scales;

  explicit Pool(Random& random) {
    const std::size_t num_heads = kNumPages * kPageSize * kNumKvHeads;
    keys = random.halves(num_heads * kHeadDim);
    values = random.halves(num_heads * kHeadDim);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      key_bytes.push_back(static_cast<signed char>(random.word() % 255 - 127));
      value_bytes.push_back(static_cast<signed char>(random.word() % 255 - 127));
    }
    for (std::size_t i = 0; i < num_heads; ++i) {
      key_scales.push_back(static_cast<float>(0.01 + 0.001 * random()));
      value_scales.push_back(static_cast<float>(0.01 + 0.001 * random()));
    }
  }

  [[nodiscard]] double key(int slot, int head, int dim) const {
    return read(keys, key_bytes, key_scales, slot, head, dim);
  }
  [[nodiscard]] double mixed_value(int slot, int head, int dim) const {
    return read(values, value_bytes, value_scales, slot, head, dim);
  }

  void bind(AttentionParams& p) {
#if MLXS_KV_INT8
    p.keys = key_bytes.data();
    p.values = value_bytes.data();
    p.key_scales = key_scales.data();
    p.value_scales = value_scales.data();
#else
    p.keys = keys.data();
    p.values = values.data();
#endif
  }

 private:
  [[nodiscard]] static double read(
      const Halves& halves,
      const std::vector<signed char>& bytes,
      const std::vector<float>& scales,
      int slot,
      int head,
      int dim
  ) {
    const auto row = static_cast<std::size_t>(slot * kNumKvHeads + head);
    const std::size_t at = row * kHeadDim + static_cast<std::size_t>(dim);
#if MLXS_KV_INT8
    return bytes[at] * double{scales[row]};
#else
    return value(halves[at]);
#endif
  }
};

struct AttentionCase {
  int window;
  float soft_cap;
  bool has_norm;
  int num_splits;
};

std::vector<double> prepared(
    const Halves& qkv,
    int row,
    int head,
    const Halves* weight,
    const std::vector<float>& cosine,
    const std::vector<float>& sine
) {
  std::vector<double> result;
  double sum = 0.0;
  for (int i = 0; i < kHeadDim; ++i) {
    result.push_back(value(qkv[static_cast<std::size_t>(row * kWidth + head * kHeadDim + i)]));
    sum += result.back() * result.back();
  }
  const double factor = 1.0 / std::sqrt(sum / kHeadDim + 1e-5);
  for (int i = 0; weight != nullptr && i < kHeadDim; ++i)
    result[static_cast<std::size_t>(i)] *= factor * value((*weight)[static_cast<std::size_t>(i)]);
  for (int i = 0; i < kNumFrequencies; ++i) {
    const double a = result[static_cast<std::size_t>(i)];
    const double b = result[static_cast<std::size_t>(i + kNumFrequencies)];
    const double c = cosine[static_cast<std::size_t>(row * kNumFrequencies + i)];
    const double s = sine[static_cast<std::size_t>(row * kNumFrequencies + i)];
    result[static_cast<std::size_t>(i)] = a * c - b * s;
    result[static_cast<std::size_t>(i + kNumFrequencies)] = b * c + a * s;
  }
  return result;
}

int slot_of(const Sequence& sequence, int position) {
  return sequence.pages[static_cast<std::size_t>(position / kPageSize)] * kPageSize +
         position % kPageSize;
}

// One query head of one row, over the pool as it is now.
std::vector<double> attend(
    const std::vector<double>& query,
    const Pool& pool,
    const Sequence& sequence,
    int position,
    int kv_head,
    const AttentionParams& p
) {
  std::vector<double> mixed(kHeadDim, 0.0);
  double total = 0.0;
  const int first = p.window > 0 ? std::max(0, position - p.window + 1) : 0;
  for (int at = first; at <= position; ++at) {
    double score = 0.0;
    for (int i = 0; i < kHeadDim; ++i)
      score += query[static_cast<std::size_t>(i)] * pool.key(slot_of(sequence, at), kv_head, i);
    score *= double{p.scale};
    if (p.soft_cap > 0.0F) score = double{p.soft_cap} * std::tanh(score / double{p.soft_cap});
    const double weight = std::exp(score);
    total += weight;
    for (int i = 0; i < kHeadDim; ++i)
      mixed[static_cast<std::size_t>(i)] +=
          weight * pool.mixed_value(slot_of(sequence, at), kv_head, i);
  }
  for (double& v : mixed) v /= total;
  return mixed;
}

class AttentionCu : public ::testing::TestWithParam<AttentionCase> {
 protected:
  void run(const std::vector<Sequence>& sequences) {
    sequences_ = sequences;
    num_rows_ = 0;
    stride_ = 0;
    for (const Sequence& s : sequences) {
      num_rows_ += s.num_rows;
      stride_ = std::max(stride_, static_cast<int>(s.pages.size()));
    }
    qkv_ = random_.halves(static_cast<std::size_t>(num_rows_ * kWidth));
    q_norm_ = random_.halves(kHeadDim);
    k_norm_ = random_.halves(kHeadDim);
    for (int i = 0; i < num_rows_ * kNumFrequencies; ++i) {
      const double angle = 3.0 * random_();
      cos_.push_back(static_cast<float>(std::cos(angle)));
      sin_.push_back(static_cast<float>(std::sin(angle)));
    }
    out_.assign(static_cast<std::size_t>(num_rows_ * kQueryHeads * kHeadDim), 0x7fff);
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      std::vector<int> table = sequences[s].pages;
      table.resize(static_cast<std::size_t>(stride_), -1);
      tables_.insert(tables_.end(), table.begin(), table.end());
      for (int row = 0; row < sequences[s].num_rows; ++row) {
        positions_.push_back(sequences[s].context_length + row);
        rows_.push_back(sequences[s].first_row + row);
        rows_.push_back(static_cast<int>(s));
      }
    }
    before_ = qkv_;
  }

  AttentionParams params() {
    const AttentionCase& features = GetParam();
    AttentionParams p{};
    pool_.bind(p);
    p.qkv = qkv_.data();
    p.cos = cos_.data();
    p.sin = sin_.data();
    if (features.has_norm) {
      p.q_norm = q_norm_.data();
      p.k_norm = k_norm_.data();
    }
    p.out = out_.data();
    p.positions = positions_.data();
    p.page_tables = tables_.data();
    p.page_stride = &stride_;
    p.items = rows_.data();
    p.num_heads = kQueryHeads;
    p.num_kv_heads = kNumKvHeads;
    p.page_size = kPageSize;
    p.num_frequencies = kNumFrequencies;
    p.num_splits = features.num_splits;
    p.window = features.window;
    p.soft_cap = features.soft_cap;
    p.scale = 0.3F;
    p.norm_eps = 1e-5F;
    return p;
  }

  // The pool has the rows' keys and values, and the output attends to them.
  void expect_attended(const AttentionParams& p) {
    const bool has_norm = GetParam().has_norm;
    const double stored_error = MLXS_KV_INT8 != 0 ? 0.02 : kHalfError * 2;
    for (const Sequence& sequence : sequences_) {
      for (int row = 0; row < sequence.num_rows; ++row) {
        const int at = sequence.first_row + row;
        const int position = sequence.context_length + row;
        for (int head = 0; head < kNumKvHeads; ++head) {
          const std::vector<double> key =
              prepared(before_, at, kQueryHeads + head, has_norm ? &k_norm_ : nullptr, cos_, sin_);
          const int value_head = kQueryHeads + kNumKvHeads + head;
          for (int i = 0; i < kHeadDim; ++i) {
            const int slot = slot_of(sequence, position);
            ASSERT_NEAR(
                pool_.key(slot, head, i), key[static_cast<std::size_t>(i)], 2 * stored_error
            );
            const double stored =
                value(before_[static_cast<std::size_t>(at * kWidth + value_head * kHeadDim + i)]);
            ASSERT_NEAR(pool_.mixed_value(slot, head, i), stored, stored_error);
          }
        }
        for (int head = 0; head < kQueryHeads; ++head) {
          const std::vector<double> query =
              prepared(before_, at, head, has_norm ? &q_norm_ : nullptr, cos_, sin_);
          const std::vector<double> expected =
              attend(query, pool_, sequence, position, head / (kQueryHeads / kNumKvHeads), p);
          for (int i = 0; i < kHeadDim; ++i) {
            const double actual =
                value(out_[static_cast<std::size_t>((at * kQueryHeads + head) * kHeadDim + i)]);
            ASSERT_NEAR(actual, expected[static_cast<std::size_t>(i)], 3 * kHalfError)
                << "row " << at << " head " << head << " dim " << i;
          }
        }
      }
    }
  }

  Random random_{11};
  Pool pool_{random_};
  std::vector<Sequence> sequences_;
  Halves qkv_, before_, q_norm_, k_norm_, out_;
  std::vector<float> cos_, sin_;
  std::vector<int> positions_, tables_, rows_;
  int num_rows_ = 0;
  int stride_ = 0;
};

TEST_P(AttentionCu, Decodes) {
  run(
      {{0, 1, 0, {3}},
       {1, 1, 200, {1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}},
       {2, 1, 95, {20, 21, 22, 23, 24, 25}},
       {3, 1, 15, {30}}}
  );
  AttentionParams p = params();
  const unsigned int num_chunks = (kQueryHeads / kNumKvHeads + kHeads - 1) / kHeads;
  std::vector<float> partials(
      static_cast<std::size_t>(4 * kQueryHeads * p.num_splits * (kHeadDim + 2)), 1e30F
  );
  std::vector<unsigned int> arrivals(4 * kNumKvHeads * num_chunks, 0);
  p.partials = partials.data();
  p.arrivals = arrivals.data();
  Emulator::instance().launch(
      {static_cast<unsigned int>(p.num_splits), kNumKvHeads * num_chunks, 4},
      128,
      [&] { decode_attention(p); }
  );
  expect_attended(p);
  for (const unsigned int count : arrivals) EXPECT_EQ(count, 0U);
}

TEST_P(AttentionCu, TakesChunksOfPrompts) {
  run(
      {{0, 70, 0, {3, 4, 5, 6, 7}}, {70, 5, 83, {10, 11, 12, 13, 14, 15}}, {75, 1, 40, {20, 21, 22}}
      }
  );
  AttentionParams p = params();
  const unsigned int num_heads = kQueryHeads + 2 * kNumKvHeads;
  Emulator& gpu = Emulator::instance();
  gpu.launch({76, (num_heads + 3) / 4, 1}, 128, [&] { store_rows(p); });
  std::vector<int> tiles{0, 64, 0, 0, 64, 6, 0, 64, 70, 5, 1, 83, 75, 1, 2, 40};
  p.items = tiles.data();
  gpu.launch({4, kQueryHeads, 1}, 128, [&] { prefill_attention(p); });
  expect_attended(p);
}

INSTANTIATE_TEST_SUITE_P(
    Features,
    AttentionCu,
    ::testing::Values(
        AttentionCase{0, 0.0F, false, 1},
        AttentionCase{0, 0.0F, true, 4},
        AttentionCase{7, 0.0F, false, 4},
        AttentionCase{90, 2.0F, true, 3}
    )
);

TEST(GateCu, MatchesTheFormula) {
  Random random(9);
  constexpr int kColumns = 518;
  const Halves x = random.halves(2 * 2 * kColumns, 4.0);
  for (int activation = 0; activation < 2; ++activation) {
    Halves out(2 * kColumns, 0x7fff);
    GateParams p{x.data(), out.data(), kColumns, activation};
    Emulator::instance().launch({2, 2, 1}, 256, [&] { gate(p); });
    for (int at = 0; at < 2 * kColumns; ++at) {
      const int from = at / kColumns * 2 * kColumns + at % kColumns;
      const double g = value(x[static_cast<std::size_t>(from)]);
      const double up = value(x[static_cast<std::size_t>(from + kColumns)]);
      const double inner = std::sqrt(2.0 / M_PI) * (g + 0.044715 * g * g * g);
      const double expected =
          activation == 0 ? g / (1.0 + std::exp(-g)) : 0.5 * g * (1.0 + std::tanh(inner));
      expect_near(value(out[static_cast<std::size_t>(at)]), expected * up, 1e-2, "gate", at);
    }
  }
}

TEST(EmbeddingCu, ExpandsRows) {
  Random random(4);
  const Weight table = make_weight(9, 384, random);
  const std::vector<int> tokens{8, 0, 3};
  Halves out(3 * 384, 0x7fff);
  EmbeddingParams p{
      tokens.data(),
      table.data(),
      table.scales.data(),
      table.biases.data(),
      out.data(),
      384,
      MLXS_WEIGHT_BITS,
      MLXS_GROUP_SIZE,
      2.0F
  };
  Emulator::instance().launch({3, 1, 1}, 256, [&] { embed(p); });
  for (int at = 0; at < 3 * 384; ++at) {
    const double expected = 2.0 * table.values[static_cast<std::size_t>(
                                      tokens[static_cast<std::size_t>(at / 384)] * 384 + at % 384
                                  )];
    expect_near(value(out[static_cast<std::size_t>(at)]), expected, 1e-2, "embedding", at);
  }
}

}  // namespace
}  // namespace mlxs::cuda
