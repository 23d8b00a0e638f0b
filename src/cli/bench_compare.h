// `bench compare A B`: whether two results of the benches differ, by their samples.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "base/json.h"

namespace mlxs {

struct CliContext;

struct BenchCompareArguments {
  std::string first = {};  // files
  std::string second = {};
  bool is_json = false;
};

// What became of one figure.
struct FigureChange {
  std::string name = {};  // its path in the files: "results/0/tokens_per_second"
  double first_median = 0.0;
  double second_median = 0.0;
  double ratio = 1.0;  // of the medians, second over first
  double low = 1.0;    // 95 % interval of it, by bootstrap
  double high = 1.0;

  [[nodiscard]] bool is_certain() const { return low > 1.0 || high < 1.0; }
};

CLI::App* add_bench_compare(CLI::App& bench, BenchCompareArguments& arguments);

// RETURNS: every figure that both have `samples` of, in the order of the first.
[[nodiscard]] std::vector<FigureChange> changes_between(
    const json::value& first, const json::value& second
);

// RETURNS: the exit code. ERRORS: io_error, invalid_config for files that are no results or have no
// figure in common.
int run_bench_compare(const BenchCompareArguments& arguments, CliContext& context);

}  // namespace mlxs
