// `bench serve`: a load on a running server over HTTP, and what its clients see.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mlxs {

struct CliContext;

struct BenchServeArguments {
  std::string url = "http://127.0.0.1:8080";
  std::string dataset = {};        // JSON lines; empty: synthetic prompts
  int num_requests = 100;          // of each rate
  std::vector<double> rates = {};  // requests a second, Poisson; empty: closed loop
  int concurrency = 8;             // of the closed loop; an open loop has no limit but this many
                                   // hundreds
  int prompt = 128;                // tokens of a synthetic prompt
  int shared = 0;                  // of these, the first ones that all have in common
  int gen = 64;                    // tokens of an answer
  std::uint64_t seed = 1;
  double slo_ttft_ms = 0.0;  // goodput counts requests that keep both; 0: no such target
  double slo_itl_ms = 0.0;
  std::string svg = {};  // file for a plot of latency over throughput; empty: none
  bool is_json = false;
};

// Adds the subcommand to `bench`. RETURNS: it, to ask whether it was parsed.
CLI::App* add_bench_serve(CLI::App& bench, BenchServeArguments& arguments);

// RETURNS: the exit code. ERRORS: invalid_config; io_error where the server does not answer at all.
int run_bench_serve(const BenchServeArguments& arguments, CliContext& context);

}  // namespace mlxs
