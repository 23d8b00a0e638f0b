// The requests of `bench serve`, and the clients that send them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/bench_serve.h"
#include "server/http/http_client.h"

namespace mlxs {

// What a client saw of one request.
struct ServeSample {
  bool is_good = false;  // answered with all tokens
  std::string fault = {};
  double start_s = 0.0;  // since the load began
  double ttft_ms = 0.0;
  double itl_ms = 0.0;  // mean time between tokens after the first
  double e2e_ms = 0.0;
  int prompt_tokens = 0;
  int tokens = 0;
};

struct ServeLoadResult {
  double rate = 0.0;  // that was asked for; 0: closed loop
  double seconds = 0.0;
  std::vector<ServeSample> samples = {};
};

// RETURNS: the bodies of requests to /v1/completions. ERRORS: invalid_config, io_error for a
// dataset that cannot be read.
[[nodiscard]] std::vector<std::string> serve_bodies(
    const BenchServeArguments& arguments, const std::string& model, std::uint64_t seed
);

// Sends them all: at Poisson times of `rate`, or, where that is 0, each client one after another.
[[nodiscard]] ServeLoadResult run_serve_load(
    const HttpCall& form, const std::vector<std::string>& bodies, double rate, int concurrency
);

}  // namespace mlxs
