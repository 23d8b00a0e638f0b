// The figures of `bench serve`: a table, a JSON object, a plot.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/bench_serve.h"
#include "cli/serve_load.h"

namespace mlxs {

// RETURNS: throughput, quantiles of the times and goodput of one load, with all samples.
[[nodiscard]] json::object serve_json(
    const ServeLoadResult& result, const BenchServeArguments& arguments
);

// RETURNS: the table of the loads, as serve_json() gave them.
[[nodiscard]] std::string serve_table(const std::vector<json::object>& loads);

// RETURNS: an SVG of latency over throughput, a point a load.
[[nodiscard]] std::string serve_plot(const std::vector<json::object>& loads);

}  // namespace mlxs
