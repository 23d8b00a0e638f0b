// step_bench: speed of what a step on the CPU does beside its products: attention by depth, number
// of rows and type of the pool; norms, gates; the choice of tokens. One line a case:
// name, microseconds (median), and GB/s of keys and values or GFLOP/s.
//
//   step_bench [--threads N] [--rounds N] [--path NAME] [--only TEXT]
//
// The shapes are SmolLM2-135M's. The pools are larger than the caches, and every round reads
// another layer's.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/cpu/cpu_context.h"
#include "kernels/linear/packed_linear.h"
#include "kernels/paged_attention/attention_cpu.h"
#include "kernels/rows/row_kernel.h"

namespace mlxs {
namespace {

constexpr int kHeads = 9;
constexpr int kKvHeads = 3;
constexpr int kHeadDim = 64;
constexpr int kPageSize = 32;
constexpr int kLayers = 30;

struct Options {
  CpuOptions cpu = {};
  int num_rounds = 5;
  std::string only;
};

struct Result {
  double microseconds = 0.0;
  double per_second = 0.0;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), context_(options.cpu) {}

  CpuContext& context() { return context_; }

  // `work`: bytes or operations of one call. body(layer) is called for each layer in a round.
  void measure(
      const std::string& name, double work, const char* unit, const std::function<void(int)>& body
  ) {
    if (name.find(options_.only) == std::string::npos) return;
    std::vector<double> times;
    for (int round = 0; round <= options_.num_rounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      for (int layer = 0; layer < kLayers; ++layer) body(layer);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      if (round > 0) times.push_back(taken.count() / kLayers);
    }
    std::ranges::sort(times);
    const double median = times[times.size() / 2];
    std::cout << name << "  " << median * 1e6 << " us  " << work / median / 1e9 << " " << unit
              << "  best " << work / times[0] / 1e9 << "\n";
  }

 private:
  Options options_;
  CpuContext context_;
};

struct AttentionCase {
  std::string name;
  int num_rows = 1;
  int depth = 0;
  int num_sequences = 1;
  KvType type = KvType::float32;
};

void run_attention(Bench& bench, const AttentionCase& instance) {
  const int tokens = instance.depth + instance.num_rows;
  const int pages_each = (tokens + kPageSize - 1) / kPageSize;
  const int num_pages = pages_each * instance.num_sequences;
  HostBatch batch;
  for (int index = 0; index < instance.num_sequences; ++index) {
    SequenceView sequence{
        .first_row = index * instance.num_rows,
        .num_rows = instance.num_rows,
        .context_length = instance.depth,
        .pages = {{}}
    };
    for (int page = 0; page < pages_each; ++page)
      sequence.pages[0].push_back(page * instance.num_sequences + index);
    batch.sequences.push_back(sequence);
  }
  batch.num_rows = instance.num_rows * instance.num_sequences;
  const auto head_bytes = static_cast<std::size_t>(
      instance.type == KvType::int8 ? kHeadDim : kv_head_bytes(instance.type, kHeadDim)
  );
  const std::size_t heads = static_cast<std::size_t>(num_pages) * kPageSize * kKvHeads;
  // Ones in the floats, and small numbers in the int8.
  const PackedBytes pool(heads * head_bytes * kLayers);
  std::fill_n(pool.data(), pool.size(), std::byte{0x3C});
  const std::vector<float> scales(heads * kLayers, 0.01F);
  const std::vector<float> queries(
      static_cast<std::size_t>(batch.num_rows) * kHeads * kHeadDim, 0.01F
  );
  std::vector<float> out(queries.size());
  const double keys = static_cast<double>(instance.num_sequences) * tokens;
  const double bytes =
      keys * kKvHeads * 2.0 * static_cast<double>(kv_head_bytes(instance.type, kHeadDim));
  const double seen =
      instance.num_rows * (instance.depth + (instance.num_rows + 1) / 2.0) * instance.num_sequences;
  const double operations = seen * kHeads * kHeadDim * 4.0;
  const bool is_decode = instance.num_rows == 1;
  const auto body = [&](int layer) {
    const auto at = static_cast<std::size_t>(layer);
    bench.context().scratch.reset();
    run_paged_attention(
        bench.context(),
        {.queries = queries.data(),
         .out = out.data(),
         .keys = pool.data() + at * heads * head_bytes,
         .values = pool.data() + (kLayers - 1 - at) * heads * head_bytes,
         .key_scales = scales.data() + at * heads,
         .value_scales = scales.data() + at * heads,
         .query_stride = std::int64_t{kHeads} * kHeadDim,
         .type = instance.type,
         .num_heads = kHeads,
         .num_kv_heads = kKvHeads,
         .head_dim = kHeadDim,
         .page_size = kPageSize,
         .scale = 0.125F},
        batch,
        0
    );
  };
  bench.measure(
      instance.name, is_decode ? bytes : operations, is_decode ? "GB/s" : "GFLOP/s", body
  );
}

void run_all_attention(Bench& bench) {
  const std::vector<std::pair<std::string, KvType>> types{
      {"float32", KvType::float32},
      {"float16", KvType::float16},
      {"bfloat16", KvType::bfloat16},
      {"int8", KvType::int8}
  };
  for (const auto& [name, type] : types) {
    for (const int depth : {128, 2048, 8192}) {
      run_attention(
          bench,
          {.name = "decode/" + name + "/" + std::to_string(depth), .depth = depth - 1, .type = type}
      );
    }
    run_attention(
        bench,
        {.name = "decode_16/" + name + "/512", .depth = 511, .num_sequences = 16, .type = type}
    );
    for (const int rows : {512, 2048}) {
      run_attention(
          bench,
          {.name = "prefill/" + name + "/" + std::to_string(rows), .num_rows = rows, .type = type}
      );
    }
  }
}

void run_rows(Bench& bench) {
  const RowKernels& kernels = row_kernels(bench.context().path);
  constexpr int kHidden = 576;
  constexpr int kIntermediate = 1536;
  const std::vector<float> x(kIntermediate, 0.5F);
  std::vector<float> out(kIntermediate);
  bench.measure("norm/576", 8.0 * kHidden, "GB/s", [&](int /*layer*/) {
    kernels.norm(
        {.x = x.data(), .weight = x.data(), .out = out.data(), .num_columns = kHidden, .eps = 1e-5F}
    );
  });
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh}) {
    const std::string name = activation == Activation::silu ? "silu" : "gelu_tanh";
    bench.measure(name + "/1536", 12.0 * kIntermediate, "GB/s", [&](int /*layer*/) {
      kernels.gate(
          {.gate = x.data(),
           .up = x.data(),
           .out = out.data(),
           .num_columns = kIntermediate,
           .activation = activation}
      );
    });
  }
}

void run_choice(Bench& bench) {
  constexpr std::size_t kVocab = 49152;
  std::vector<float> logits(kVocab);
  for (std::size_t i = 0; i < kVocab; ++i)
    logits[i] = static_cast<float>((i * 2654435761U) % 100003U) / 5000.0F;
  std::vector<std::int32_t> ids(kVocab);
  std::vector<double> sums(kVocab / ChooseScratch::kBlock + 1);
  const auto scratch = std::make_unique<ChooseScratch>();
  scratch->ids = ids;
  scratch->block_sums = sums;
  const std::vector<std::pair<std::string, TokenRule>> rules{
      {"greedy", {.temperature = 0.0F}},
      {"draw", {.temperature = 0.8F, .uniform = 0.5F}},
      {"top_k", {.temperature = 0.8F, .top_k = 40, .uniform = 0.5F}},
      {"top_p", {.temperature = 0.8F, .top_p = 0.95F, .uniform = 0.5F}},
      {"min_p", {.temperature = 0.8F, .min_p = 0.05F, .uniform = 0.5F}}
  };
  for (const auto& [name, rule] : rules) {
    bench.measure("choose/" + name, 4.0 * kVocab, "GB/s", [&, &used = rule](int /*layer*/) {
      (void)choose_row(token_kernels(bench.context().path), logits, used, *scratch);
    });
  }
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--threads") options.cpu.num_threads = std::atoi(value);
    if (flag == "--rounds") options.num_rounds = std::max(1, std::atoi(value));
    if (flag == "--path") options.cpu.path = cpu_path_of(value);
    if (flag == "--only") options.only = value;
  }
  return options;
}

}  // namespace
}  // namespace mlxs

int main(int argc, char** argv) {
  mlxs::Bench bench(mlxs::read_options(argc, argv));
  mlxs::run_all_attention(bench);
  mlxs::run_rows(bench);
  mlxs::run_choice(bench);
  return 0;
}
