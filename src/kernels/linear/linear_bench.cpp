// kernel_bench: speed of packed_linear() by shape, format, precision and path, against what this
// machine does at best in the same minute. One JSON object on standard output.
//
//   kernel_bench [--threads N] [--rounds N] [--rows N[,N...]] [--only TEXT]
//
// --only keeps cases whose name contains TEXT; a name is SHAPE/FORMAT/PRECISION/PATH/ROWS.
// "one row" streams weights that are in no cache; its figure is GB/s. More rows: GOP/s (two
// operations a product). Each round measures the peaks, then every case; reported are medians.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/linear/packed_linear.h"
#include "kernels/linear/peak_bench.h"
#include "kernels/linear/testing/packed_sources.h"

namespace mlxs {
namespace {

using testing::TestWeight;
using testing::WeightForm;

struct Shape {
  const char* name;
  int num_outputs;
  int num_columns;
};

constexpr Shape kShapes[] = {
    {"smol_qo_576x576", 576, 576},
    {"smol_gate_1536x576", 1536, 576},
    {"smol_down_576x1536", 576, 1536},
    {"smol_vocab_49152x576", 49152, 576},
    {"llama1b_q_2048x2048", 2048, 2048},
    {"llama1b_gate_8192x2048", 8192, 2048},
    {"llama1b_down_2048x8192", 2048, 8192},
};

struct Format {
  const char* name;
  WeightForm form;
};

const Format kFormats[] = {
    {"q4_1", {.bits = 4, .group_size = 32, .type = ScaleType::float16}},
    {"q4_0", {.bits = 4, .group_size = 32, .type = ScaleType::float16, .is_symmetric = true}},
    {"q4_g64", {.bits = 4, .group_size = 64, .type = ScaleType::bfloat16}},
    {"q8_0", {.bits = 8, .group_size = 32, .type = ScaleType::float16, .is_symmetric = true}},
    {"bf16", {.type = ScaleType::bfloat16}},
};

constexpr const char* kPrecisionNames[] = {"exact", "balanced", "fast"};

struct Options {
  int num_threads = 0;
  int num_rounds = 5;
  std::vector<int> rows = {1, 512};
  std::string only;
};

// One thread's own time where there is only one: others on the machine count less.
double now(int num_threads) {
  timespec time{};
  clock_gettime(num_threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// One shape and format on one path: enough copies of the weight for none to be in a cache.
class Case {
 public:
  Case(
      std::string name,
      const Shape& shape,
      const Format& format,
      const CpuOptions& options,
      int num_rows
  )
      : name_(std::move(name)), context_(options), num_rows_(num_rows) {
    constexpr std::int64_t kColdBytes = std::int64_t{160} << 20;
    // A smaller weight's rows, repeated, are enough to be read.
    const TestWeight source(format.form, shape.num_outputs, shape.num_columns, 1);
    do {
      weights_.push_back(pack_linear(context_, source.source()));
    } while (num_rows == 1 &&
             weights_.front().num_bytes() * static_cast<std::int64_t>(weights_.size()) < kColdBytes
    );
    const auto num_values =
        static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(shape.num_columns);
    for (std::size_t i = 0; i < num_values; ++i)
      x_.push_back(static_cast<float>(i * 7919 % 1000) / 500.0F - 1.0F);
    out_.resize(static_cast<std::size_t>(num_rows) * static_cast<std::size_t>(shape.num_outputs));
    input_ = make_linear_input(
        context_.scratch,
        static_cast<InputForms>(weights_.front().input_form),
        num_rows,
        shape.num_columns
    );
  }

  void measure() {
    const int num_threads = context_.team.num_threads();
    const double start = now(num_threads);
    double elapsed = 0.0;
    std::int64_t num_passes = 0;
    do {
      for (const PackedLinear& weight : weights_) {
        prepare_input(context_, x_.data(), input_);
        const LinearJob job{
            .weight = &weight,
            .input = &input_,
            .out = out_.data(),
            .out_stride = weight.num_outputs
        };
        packed_linear(context_, {&job, 1});
      }
      ++num_passes;
      elapsed = now(num_threads) - start;
    } while (elapsed < 0.02);
    const PackedLinear& weight = weights_.front();
    const double per_product =
        elapsed / static_cast<double>(num_passes * static_cast<std::int64_t>(weights_.size()));
    gigabytes_.push_back(static_cast<double>(weight.num_bytes()) / per_product / 1e9);
    gigaops_.push_back(
        2.0 * num_rows_ * weight.num_outputs * weight.num_columns / per_product / 1e9
    );
  }

  void print() const {
    std::cout << "    {\"name\": \"" << name_ << "\", \"rows\": " << num_rows_
              << ", \"gigabytes_per_s\": " << median(gigabytes_)
              << ", \"gigaops_per_s\": " << median(gigaops_)
              << ", \"best_gigabytes_per_s\": " << *std::ranges::max_element(gigabytes_)
              << ", \"best_gigaops_per_s\": " << *std::ranges::max_element(gigaops_) << "}";
  }

 private:
  std::string name_;
  CpuContext context_;
  int num_rows_;
  std::vector<PackedLinear> weights_;
  std::vector<float> x_;
  std::vector<float> out_;
  LinearInput input_;
  std::vector<double> gigabytes_;
  std::vector<double> gigaops_;
};

Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string flag = arguments[i];
    const std::string value = arguments[i + 1];
    if (flag == "--threads") options.num_threads = std::stoi(value);
    if (flag == "--rounds") options.num_rounds = std::stoi(value);
    if (flag == "--only") options.only = value;
    if (flag != "--rows") continue;
    options.rows.clear();
    for (std::size_t from = 0; from < value.size(); from = value.find(',', from) + 1) {
      options.rows.push_back(std::stoi(value.substr(from)));
      if (value.find(',', from) == std::string::npos) break;
    }
  }
  return options;
}

template <typename Visit>
void for_each_case(const Options& options, const Visit& visit) {
  for (const Shape& shape : kShapes) {
    for (const Format& format : kFormats) {
      for (const Precision precision : {Precision::fast, Precision::balanced, Precision::exact}) {
        for (const CpuPath path : available_cpu_paths()) {
          for (const int num_rows : options.rows) {
            const bool is_dense = format.form.bits == 0;
            const bool is_slow = path == CpuPath::baseline && num_rows > 1;
            const bool is_repeated = is_dense && precision != Precision::exact;
            const std::string name = std::string(shape.name) + "/" + format.name + "/" +
                                     kPrecisionNames[static_cast<int>(precision)] + "/" +
                                     std::string(cpu_path_name(path)) + "/" +
                                     std::to_string(num_rows);
            if (is_slow || is_repeated || name.find(options.only) == std::string::npos) continue;
            visit(
                name,
                shape,
                format,
                CpuOptions{
                    .num_threads = options.num_threads, .precision = precision, .path = path
                },
                num_rows
            );
          }
        }
      }
    }
  }
}

void run(const Options& options) {
  CpuContext machine({.num_threads = options.num_threads});
  std::map<std::string, std::vector<double>> peaks;
  const auto measure_peaks = [&] {
    peaks["read_gigabytes_per_s"].push_back(measure_read_bandwidth(machine.team));
    for (const CpuPath path : available_cpu_paths()) {
      const std::string name(cpu_path_name(path));
      const auto int8 = measure_int8_peak(machine.team, path);
      if (int8 > 0.0) peaks[name + "_int8_gigaops_per_s"].push_back(int8);
      const auto floats = measure_float_peak(machine.team, path);
      if (floats > 0.0) peaks[name + "_float_gigaops_per_s"].push_back(floats);
    }
  };
  std::cout << "{\n  \"threads\": " << machine.team.num_threads() << ",\n  \"cases\": [\n";
  bool is_first = true;
  for_each_case(
      options,
      [&](const std::string& name,
          const Shape& shape,
          const Format& format,
          const CpuOptions& cpu,
          int num_rows) {
        measure_peaks();
        Case one(name, shape, format, cpu, num_rows);
        for (int round = 0; round < options.num_rounds; ++round) one.measure();
        if (!is_first) std::cout << ",\n";
        is_first = false;
        one.print();
        std::cout.flush();
      }
  );
  std::cout << "\n  ],\n  \"peaks\": {";
  is_first = true;
  for (const auto& [name, values] : peaks) {
    std::cout << (is_first ? "\n" : ",\n") << "    \"" << name << "\": " << median(values);
    is_first = false;
  }
  std::cout << "\n  }\n}\n";
}

}  // namespace
}  // namespace mlxs

int main(int count, char** arguments) {
  mlxs::run(mlxs::read_options(count, arguments));
  return EXIT_SUCCESS;
}
