// How the results of `bench` are printed: a table for people, one JSON object for programs.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/backend_facts.h"
#include "cli/bench_measure.h"
#include "cli/machine.h"
#include "mlx_serving/engine.h"

namespace mlxs {

struct BenchResult {
  BenchLoad load;
  std::vector<BenchRun> runs;  // at least one
};

struct Spread {
  double median = 0.0;
  double min = 0.0;
  double max = 0.0;
};

struct BenchReport {
  Machine machine;
  BackendFacts backend;
  std::string device;  // "cpu", "gpu", "auto": as it was asked for
  ModelInfo model;
  double load_seconds = 0.0;
  std::vector<BenchResult> results;
};

// REQUIRES: values is not empty.
[[nodiscard]] Spread spread_of(std::vector<double> values);

// RETURNS: llama-bench's name of the test: "pp512", "tg128", "tg128 @ d4096".
[[nodiscard]] std::string bench_name(const BenchLoad& load);

[[nodiscard]] json::object bench_json(const BenchReport& report);
void print_bench_table(std::ostream& out, const BenchReport& report);

}  // namespace mlxs
