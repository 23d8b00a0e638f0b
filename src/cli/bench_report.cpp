// Medians, the table and the JSON object of `bench`.
#include "cli/bench_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "cli/bench_measure.h"
#include "cli/build_info.h"
#include "cli/machine.h"

namespace mlxs {
namespace {

template <typename Field>
std::vector<double> values_of(const BenchResult& result, Field field) {
  std::vector<double> values;
  values.reserve(result.runs.size());
  for (const BenchRun& run : result.runs) values.push_back(run.*field);
  return values;
}

json::object result_json(const BenchResult& result) {
  const BenchLoad& load = result.load;
  const bool is_prefill = load.kind == BenchLoad::Kind::prefill;
  const std::vector<double> samples = values_of(result, &BenchRun::tokens_per_second);
  const Spread spread = spread_of(samples);
  return {
      {"test", bench_name(load)},
      {"kind", is_prefill ? "prefill" : "decode"},
      {"batch", load.batch},
      {"prompt", is_prefill ? load.num_tokens : 0},
      {"gen", is_prefill ? 0 : load.num_tokens},
      {"depth", load.depth},
      {"tokens_per_second",
       json::object{
           {"median", spread.median},
           {"min", spread.min},
           {"max", spread.max},
           {"samples", json::value_from(samples)}
       }},
      {"engine_tokens_per_second",
       spread_of(values_of(result, &BenchRun::engine_tokens_per_second)).median},
      {"seconds", json::value_from(values_of(result, &BenchRun::seconds))}
  };
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const bool is_odd = values.size() % 2 == 1;
  const double median = is_odd ? values[middle] : (values[middle - 1] + values[middle]) / 2.0;
  return {median, values.front(), values.back()};
}

std::string bench_name(const BenchLoad& load) {
  const std::string name =
      fmt::format("{}{}", load.kind == BenchLoad::Kind::prefill ? "pp" : "tg", load.num_tokens);
  return load.depth > 0 ? fmt::format("{} @ d{}", name, load.depth) : name;
}

json::object bench_json(const BenchReport& report) {
  json::array results;
  for (const BenchResult& result : report.results) results.push_back(result_json(result));
  return {
      {"schema", "mlx-serving-bench/1"},
      {"version", kVersion},
      {"commit", build_commit()},
      {"mlx_version", report.backend.mlx_version},
      {"backend", report.backend.backend},
      {"device", report.device},
      {"machine", machine_json(report.machine, report.backend)},
      {"model",
       json::object{
           {"name", report.model.name},
           {"family", report.model.family},
           {"quantization", report.model.quantization},
           {"weight_bytes", report.model.weight_bytes},
           {"kv_bytes_per_token", report.model.kv_bytes_per_token},
           {"load_seconds", report.load_seconds}
       }},
      {"results", std::move(results)}
  };
}

void print_bench_table(std::ostream& out, const BenchReport& report) {
  const Machine& machine = report.machine;
  out << fmt::format(
      "model    {} ({}, {}, {:.1f} MB), loaded in {:.2f} s\n",
      escape_control(report.model.name),
      report.model.family,
      report.model.quantization,
      static_cast<double>(report.model.weight_bytes) / 1e6,
      report.load_seconds
  );
  out << fmt::format(
      "machine  {}, {} cores, {:.1f} GB, load {:.2f}; {}\n",
      machine.cpu.empty() ? "unknown CPU" : machine.cpu,
      machine.num_cores,
      static_cast<double>(machine.memory_bytes) / 1e9,
      machine.load_average,
      fmt::join(machine.cpu_features, " ")
  );
  out << fmt::format(
      "build    mlx-serving {} commit {}, MLX {} ({}: {})\n\n",
      kVersion,
      build_commit(),
      report.backend.mlx_version,
      report.backend.backend,
      report.backend.device_name
  );
  out << fmt::format(
      "| {:<18} | {:>5} | {:>10} | {:>10} | {:>10} |\n", "test", "batch", "token/s", "min", "max"
  );
  out << "|--------------------|------:|-----------:|-----------:|-----------:|\n";
  for (const BenchResult& result : report.results) {
    const Spread spread = spread_of(values_of(result, &BenchRun::tokens_per_second));
    out << fmt::format(
        "| {:<18} | {:>5} | {:>10.2f} | {:>10.2f} | {:>10.2f} |\n",
        bench_name(result.load),
        result.load.batch,
        spread.median,
        spread.min,
        spread.max
    );
  }
}

}  // namespace mlxs
