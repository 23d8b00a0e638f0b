// The Metal kernels' own text under the harness against double precision, over the sweep of the
// CUDA kernels' test. Built once for each set of the MLXS_ macros. What only a device shows (its
// rounding, its compiler, its speed) is not here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <vector>

#include "kernels/metal/testing/harness.h"
#include "kernels/metal/testing/program.h"

namespace mlxs::msl {
namespace {

struct LinearCase {
  int num_rows, num_outputs, num_columns;
};

struct LinearKernel {
  int rows;
  void (*function)(
      const unsigned char*,
      const Half*,
      const Half*,
      const Half*,
      const Half*,
      const Half*,
      void*,
      const mk::LinearParams&,
      mk::uint3,
      unsigned int,
      unsigned int
  );
};
struct LinearKernels {
  LinearKernel store, residual, store_float, gated;
};
#define MLXS_KERNELS(ROWS)                                                    \
  LinearKernels {                                                             \
    {ROWS, mk::linear_##ROWS##_store}, {ROWS, mk::linear_##ROWS##_residual},  \
        {ROWS, mk::linear_##ROWS##_float}, {ROWS, mk::linear_##ROWS##_gated}, \
  }
const LinearKernels kLinearKernels[] = {
    MLXS_KERNELS(1), MLXS_KERNELS(2), MLXS_KERNELS(4), MLXS_KERNELS(8)
};

mk::uint3 group() { return {position().group.x, position().group.y, position().group.z}; }

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
  const auto num_results = static_cast<std::size_t>(num_rows * num_outputs);
  const Halves residual = random.halves(num_results);
  const int gate_offset = num_outputs / 2;
  const mk::LinearParams p{num_rows, num_outputs, num_columns, gate_offset, 0, 1};

  Harness gpu(static_cast<std::uint32_t>(num_rows * num_columns));
  const auto* words =
      weight.words.empty()
          ? reinterpret_cast<const unsigned char*>(gpu.buffer(weight.dense, "weight"))
          : reinterpret_cast<const unsigned char*>(gpu.buffer(weight.words, "weight"));
  const Half* scales = gpu.buffer(weight.scales, "scales");
  const Half* biases = gpu.buffer(weight.biases, "biases");
  const Half* added = gpu.buffer(bias, "bias");
  const Half* rows = gpu.buffer(x, "x");
  Half* in_place = gpu.buffer(residual, "residual");
  float* floats = gpu.output<float>(num_results, "floats");
  Half* stored = gpu.output<Half>(num_results, "stored");
  const auto num_gated = static_cast<std::size_t>(num_rows * gate_offset);
  Half* gated = gpu.output<Half>(num_gated, "gated");
  const auto run = [&](const LinearKernel& kernel, int outputs_at_once, int outputs, void* out) {
    const auto parts = [](int all, int size) {
      return static_cast<unsigned int>((all + size - 1) / size);
    };
    gpu.dispatch_threadgroups(
        {parts(outputs, outputs_at_once), parts(num_rows, kernel.rows), 1},
        {64, 1, 1},
        [&] {
          kernel.function(
              words,
              scales,
              biases,
              added,
              rows,
              in_place,
              out,
              p,
              group(),
              position().simd_group(),
              position().lane()
          );
        }
    );
  };
  run(kernels.store, 8, num_outputs, stored);
  run(kernels.residual, 8, num_outputs, in_place);
  run(kernels.store_float, 8, num_outputs, floats);
  run(kernels.gated, 4, gate_offset, gated);
  const std::vector<float> float_results = gpu.read(floats, num_results);
  const Halves sums = gpu.read(static_cast<const Half*>(in_place), num_results);
  const Halves plain = gpu.read(stored, num_results);
  const Halves gates = gpu.read(gated, num_gated);
  const double scale = 2.0 * std::sqrt(num_columns);
  for (int row = 0; row < num_rows; ++row) {
    for (int output = 0; output < num_outputs; ++output) {
      const int at = row * num_outputs + output;
      const auto index = static_cast<std::size_t>(at);
      const double sum = product(weight, x, row, output, num_columns) +
                         value(bias[static_cast<std::size_t>(output)]);
      ASSERT_NEAR(float_results[index], sum, 1e-5 * scale) << "float at " << at;
      expect_near(value(plain[index]), sum, 1.0, "store", at);
      expect_near(value(sums[index]), sum + value(residual[index]), 1.0, "residual", at);
      if (output >= gate_offset) continue;
      const double gate = float_results[index];
      const double expected = gate / (1.0 + std::exp(-gate)) *
                              float_results[static_cast<std::size_t>(at + gate_offset)];
      expect_near(
          value(gates[static_cast<std::size_t>(row * gate_offset + output)]),
          expected,
          1e-2,
          "gated",
          at
      );
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(LinearMetal, MatchesTheProduct) {
  for (const LinearKernels& kernels : kLinearKernels) {
    for (const LinearCase& size :
         {LinearCase{1, 38, 128}, {3, 16, 576}, {kernels.store.rows + 1, 50, 384}}) {
      check_linear(kernels, size);
      if (HasFatalFailure()) FAIL() << kernels.store.rows << " rows, K " << size.num_columns;
    }
  }
}

TEST(LinearMetal, ARowIsTheSameInEveryBatch) {
  Random random(17);
  const Weight weight = make_weight(24, 576, random);
  const Halves x = random.halves(8 * 576);
  std::vector<std::vector<float>> results;
  for (const LinearKernels& kernels : kLinearKernels) {
    Harness gpu;
    const auto* words = weight.words.empty()
                            ? reinterpret_cast<const unsigned char*>(gpu.buffer(weight.dense))
                            : reinterpret_cast<const unsigned char*>(gpu.buffer(weight.words));
    const Half* scales = gpu.buffer(weight.scales);
    const Half* biases = gpu.buffer(weight.biases);
    const Half* rows = gpu.buffer(x);
    float* out = gpu.output<float>(8 * 24);
    const mk::LinearParams p{8, 24, 576, 12, 0, 0};
    const auto num_groups = static_cast<unsigned int>(8 / kernels.store_float.rows);
    gpu.dispatch_threadgroups({3, num_groups, 1}, {64, 1, 1}, [&] {
      kernels.store_float.function(
          words,
          scales,
          biases,
          nullptr,
          rows,
          nullptr,
          out,
          p,
          group(),
          position().simd_group(),
          position().lane()
      );
    });
    results.push_back(gpu.read(out, 8 * 24));
    EXPECT_EQ(results.back(), results.front());
  }
}

TEST(NormMetal, AddsAndNorms) {
  Random random(5);
  constexpr int kRows = 3;
  constexpr int kColumns = 578;
  const Halves x = random.halves(kRows * kColumns);
  const Halves y = random.halves(kRows * kColumns);
  const Halves post = random.halves(kColumns);
  const Halves pre = random.halves(kColumns);
  for (int features = 0; features < 8; ++features) {
    const bool has_y = (features & 1) != 0;
    const bool has_post = (features & 2) != 0;
    const bool has_pre = (features & 4) != 0;
    const mk::NormParams p{kColumns, 1e-5F, has_y, has_post, has_pre, 1};
    Harness gpu(static_cast<std::uint32_t>(features));
    Half* stream = gpu.buffer(x, "x");
    const Half* block = gpu.buffer(y, "y");
    const Half* after = gpu.buffer(post, "post");
    const Half* before = gpu.buffer(pre, "pre");
    Half* result = gpu.output<Half>(x.size(), "out");
    gpu.dispatch_threadgroups({kRows, 1, 1}, {256, 1, 1}, [&] {
      mk::norm_rows(stream, block, after, before, result, p, position().group.x, position().index);
    });
    const Halves out = gpu.read(result, x.size());
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
  std::vector<std::int8_t> key_bytes, value_bytes;
  std::vector<float> key_scales, value_scales;

  explicit Pool(Random& random) {
    const std::size_t num_heads = kNumPages * kPageSize * kNumKvHeads;
    keys = random.halves(num_heads * kHeadDim);
    values = random.halves(num_heads * kHeadDim);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      key_bytes.push_back(static_cast<std::int8_t>(random.word() % 255 - 127));
      value_bytes.push_back(static_cast<std::int8_t>(random.word() % 255 - 127));
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

 private:
  [[nodiscard]] static double read(
      const Halves& halves,
      const std::vector<std::int8_t>& bytes,
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
void PrintTo(const AttentionCase& features, std::ostream* out) {
  *out << "window " << features.window << ", soft cap " << features.soft_cap << ", norm "
       << features.has_norm << ", splits " << features.num_splits;
}

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
    const mk::AttentionParams& p
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

class AttentionMetal : public ::testing::TestWithParam<AttentionCase> {
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
    out_.assign(static_cast<std::size_t>(num_rows_ * kQueryHeads * kHeadDim), Half(0.0F));
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

  mk::AttentionParams params() const {
    const AttentionCase& features = GetParam();
    return {
        kQueryHeads,
        kNumKvHeads,
        kPageSize,
        stride_,
        kNumFrequencies,
        features.num_splits,
        features.window,
        features.has_norm ? 1 : 0,
        features.soft_cap,
        0.3F,
        1e-5F
    };
  }

  // Norms, rotates and stores all rows.
  void store(Harness& gpu, const mk::AttentionParams& p) {
    keys_ = gpu.buffer(pool_values(pool_.keys, pool_.key_bytes), "keys");
    values_ = gpu.buffer(pool_values(pool_.values, pool_.value_bytes), "values");
    key_scales_ = gpu.buffer(pool_.key_scales, "key scales");
    value_scales_ = gpu.buffer(pool_.value_scales, "value scales");
    rows_of_qkv_ = gpu.buffer(qkv_, "qkv");
    const float* cosines = gpu.buffer(cos_, "cosines");
    const float* sines = gpu.buffer(sin_, "sines");
    const Half* q_norm = gpu.buffer(q_norm_, "q_norm");
    const Half* k_norm = gpu.buffer(k_norm_, "k_norm");
    at_positions_ = gpu.buffer(positions_, "positions");
    at_tables_ = gpu.buffer(tables_, "tables");
    at_items_ = gpu.buffer(rows_, "items");
    mixed_ = gpu.output<Half>(static_cast<std::size_t>(num_rows_ * kQueryHeads * kHeadDim), "out");
    const unsigned int num_heads = kQueryHeads + 2 * kNumKvHeads;
    gpu.dispatch_threadgroups(
        {static_cast<unsigned int>(num_rows_), (num_heads + 3) / 4, 1},
        {128, 1, 1},
        [&] {
          mk::store_rows(
              rows_of_qkv_,
              keys_,
              values_,
              key_scales_,
              value_scales_,
              cosines,
              sines,
              q_norm,
              k_norm,
              at_positions_,
              at_tables_,
              at_items_,
              p,
              group(),
              position().simd_group(),
              position().lane()
          );
        }
    );
  }

  void take_back(const Harness& gpu) {
    take(gpu, keys_, pool_.keys, pool_.key_bytes);
    take(gpu, values_, pool_.values, pool_.value_bytes);
    pool_.key_scales = gpu.read<float>(key_scales_, pool_.key_scales.size());
    pool_.value_scales = gpu.read<float>(value_scales_, pool_.value_scales.size());
    out_ = gpu.read<Half>(mixed_, out_.size());
  }

  // The pool has the rows' keys and values, and the output attends to them.
  void expect_attended(const mk::AttentionParams& p) {
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

  static const std::vector<mk::PoolValue>& pool_values(
      const std::vector<mk::PoolValue>& used, const auto& /*unused*/
  ) {
    return used;
  }
  static const std::vector<mk::PoolValue>& pool_values(
      const auto& /*unused*/, const std::vector<mk::PoolValue>& used
  ) {
    return used;
  }
  static void take(
      const Harness& gpu, const mk::PoolValue* from, Halves& halves, std::vector<std::int8_t>& bytes
  ) {
#if MLXS_KV_INT8
    static_cast<void>(halves);
    bytes = gpu.read(from, bytes.size());
#else
    static_cast<void>(bytes);
    halves = gpu.read(from, halves.size());
#endif
  }

  Random random_{11};
  Pool pool_{random_};
  mk::PoolValue* keys_ = nullptr;
  mk::PoolValue* values_ = nullptr;
  float* key_scales_ = nullptr;
  float* value_scales_ = nullptr;
  Half* rows_of_qkv_ = nullptr;
  Half* mixed_ = nullptr;
  const int* at_positions_ = nullptr;
  const int* at_tables_ = nullptr;
  const int* at_items_ = nullptr;
  std::vector<Sequence> sequences_;
  Halves qkv_, before_, q_norm_, k_norm_, out_;
  std::vector<float> cos_, sin_;
  std::vector<int> positions_, tables_, rows_;
  int num_rows_ = 0;
  int stride_ = 0;
};

TEST_P(AttentionMetal, Decodes) {
  run(
      {{0, 1, 0, {3}},
       {1, 1, 200, {1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}},
       {2, 1, 95, {20, 21, 22, 23, 24, 25}},
       {3, 1, 15, {30}}}
  );
  const mk::AttentionParams p = params();
  Harness gpu(3);
  store(gpu, p);
  const unsigned int num_chunks = (kQueryHeads / kNumKvHeads + kHeads - 1) / kHeads;
  float* partials = gpu.output<float>(
      static_cast<std::size_t>(4 * kQueryHeads * p.num_splits * (kHeadDim + 2)), "partials"
  );
  gpu.dispatch_threadgroups(
      {static_cast<unsigned int>(p.num_splits), kNumKvHeads * num_chunks, 4},
      {128, 1, 1},
      [&] {
        mk::decode_attention(
            rows_of_qkv_,
            keys_,
            values_,
            key_scales_,
            value_scales_,
            at_positions_,
            at_tables_,
            at_items_,
            partials,
            mixed_,
            p,
            group(),
            position().index,
            position().simd_group(),
            position().lane()
        );
      }
  );
  gpu.dispatch_threadgroups({kQueryHeads, 4, 1}, {32, 1, 1}, [&] {
    mk::join_attention(partials, at_positions_, at_items_, mixed_, p, group(), position().lane());
  });
  take_back(gpu);
  expect_attended(p);
}

TEST_P(AttentionMetal, TakesChunksOfPrompts) {
  run(
      {{0, 70, 0, {3, 4, 5, 6, 7}}, {70, 5, 83, {10, 11, 12, 13, 14, 15}}, {75, 1, 40, {20, 21, 22}}
      }
  );
  const mk::AttentionParams p = params();
  Harness gpu(4);
  store(gpu, p);
  const int* tiles =
      gpu.buffer(std::vector<int>{0, 64, 0, 0, 64, 6, 0, 64, 70, 5, 1, 83, 75, 1, 2, 40}, "tiles");
  gpu.dispatch_threadgroups({4, kQueryHeads, 1}, {256, 1, 1}, [&] {
    mk::prefill_attention(
        rows_of_qkv_,
        keys_,
        values_,
        key_scales_,
        value_scales_,
        at_tables_,
        tiles,
        mixed_,
        p,
        group(),
        position().index,
        position().simd_group(),
        position().lane()
    );
  });
  take_back(gpu);
  expect_attended(p);
}

INSTANTIATE_TEST_SUITE_P(
    Features,
    AttentionMetal,
    ::testing::Values(
        AttentionCase{0, 0.0F, false, 1},
        AttentionCase{0, 0.0F, true, 4},
        AttentionCase{7, 0.0F, false, 4},
        AttentionCase{90, 2.0F, true, 3}
    )
);

TEST(GateMetal, MatchesTheFormula) {
  Random random(9);
  constexpr int kColumns = 518;
  const Halves x = random.halves(2 * 2 * kColumns, 4.0);
  for (int activation = 0; activation < 2; ++activation) {
    Harness gpu;
    const Half* in = gpu.buffer(x);
    Half* result = gpu.output<Half>(2 * kColumns);
    const mk::GateParams p{kColumns, activation};
    gpu.dispatch_threadgroups({3, 2, 1}, {256, 1, 1}, [&] {
      mk::gate(in, result, p, group(), {position().thread.x, 0U, 0U});
    });
    const Halves out = gpu.read(result, 2 * kColumns);
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

TEST(EmbeddingMetal, ExpandsRows) {
  Random random(4);
  const Weight table = make_weight(9, 384, random);
  Harness gpu;
  const int* tokens = gpu.buffer(std::vector<int>{8, 0, 3});
  const auto* words = table.words.empty()
                          ? reinterpret_cast<const unsigned char*>(gpu.buffer(table.dense))
                          : reinterpret_cast<const unsigned char*>(gpu.buffer(table.words));
  const Half* scales = gpu.buffer(table.scales);
  const Half* biases = gpu.buffer(table.biases);
  Half* result = gpu.output<Half>(3 * 384);
  const mk::EmbeddingParams p{384, 2.0F};
  gpu.dispatch_threadgroups({3, 1, 1}, {256, 1, 1}, [&] {
    mk::embed(tokens, words, scales, biases, result, p, position().group.x, position().index);
  });
  const Halves out = gpu.read(result, 3 * 384);
  const int token_ids[] = {8, 0, 3};
  for (int at = 0; at < 3 * 384; ++at) {
    const double expected =
        2.0 * table.values[static_cast<std::size_t>(token_ids[at / 384] * 384 + at % 384)];
    expect_near(value(out[static_cast<std::size_t>(at)]), expected, 1e-2, "embedding", at);
  }
}

TEST(RopeMetal, TablesOfBothKinds) {
  Harness gpu;
  const int* positions = gpu.buffer(std::vector<int>{0, 7, 4000});
  const int* long_rows = gpu.buffer(std::vector<int>{0, 1, 0});
  std::vector<float> frequencies, long_frequencies;
  for (int i = 0; i < 40; ++i) {
    frequencies.push_back(static_cast<float>(std::pow(10000.0, -i / 40.0)));
    long_frequencies.push_back(frequencies.back() / 8);
  }
  const float* inv_freq = gpu.buffer(frequencies);
  const float* inv_freq_long = gpu.buffer(long_frequencies);
  float* cosines = gpu.output<float>(120);
  float* sines = gpu.output<float>(120);
  gpu.dispatch_threadgroups({3, 1, 1}, {128, 1, 1}, [&] {
    mk::rope_table(
        positions,
        long_rows,
        inv_freq,
        inv_freq_long,
        cosines,
        sines,
        {40, 1.25F},
        position().group.x,
        position().index
    );
  });
  const std::vector<float> c = gpu.read(cosines, 120);
  const std::vector<float> s = gpu.read(sines, 120);
  for (std::size_t at = 0; at < 120; ++at) {
    const std::vector<float>& table = at / 40 == 1 ? long_frequencies : frequencies;
    const double angle = double{
        static_cast<float>(
            at / 40 == 0   ? 0
            : at / 40 == 1 ? 7
                           : 4000
        ) *
        table[at % 40]
    };
    ASSERT_NEAR(c[at], 1.25 * std::cos(angle), 1e-4);
    ASSERT_NEAR(s[at], 1.25 * std::sin(angle), 1e-4);
  }
}

TEST(ChooseTokenMetal, TheFirstOfTheBestAndWhetherAllAreNumbers) {
  Random random(8);
  constexpr int kColumns = 3001;
  std::vector<float> logits;
  for (int i = 0; i < 4 * kColumns; ++i) logits.push_back(static_cast<float>(random()));
  logits[2999] = 5.0F;
  logits[kColumns + 17] = 7.0F;
  logits[kColumns + 1700] = 7.0F;
  logits[2 * kColumns + 5] = std::numeric_limits<float>::quiet_NaN();
  logits[3 * kColumns + 2000] = std::numeric_limits<float>::infinity();
  Harness gpu;
  const float* in = gpu.buffer(logits);
  int* tokens = gpu.output<int>(4);
  bool* valid = gpu.output<bool>(4);
  gpu.dispatch_threadgroups({4, 1, 1}, {256, 1, 1}, [&] {
    mk::argmax_rows(in, tokens, valid, {kColumns}, position().group.x, position().index);
  });
  const std::vector<int> best = gpu.read(static_cast<const int*>(tokens), 4);
  EXPECT_EQ(best[0], 2999);
  EXPECT_EQ(best[1], 17);
  EXPECT_TRUE(valid[0] && valid[1]);
  EXPECT_FALSE(valid[2] || valid[3]);
}

}  // namespace
}  // namespace mlxs::msl
