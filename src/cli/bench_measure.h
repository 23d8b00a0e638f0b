// Measures prefill and decode of an engine through its public face, as llama-bench does: the two
// apart from each other. Prompts are token ids drawn at random, so that neither text nor a cache
// has a part in it.
#pragma once

#include <cstdint>

#include "mlx_serving/engine.h"

namespace mlxs {

struct BenchLoad {
  enum class Kind { prefill, decode };
  Kind kind = Kind::prefill;
  int batch = 1;           // sequences at the same time
  int num_tokens = 0;      // of each sequence: prompt tokens for prefill, generated ones for decode
  int depth = 0;           // decode: tokens of each sequence before the first that is measured
  int step_tokens = 128;   // the engine's; bounds how far sequences drift apart while they start
  std::uint64_t seed = 0;  // of the prompts; each run takes another, so that no cache can answer
};

struct BenchRun {
  double seconds = 0.0;                   // by the clock on the wall
  double tokens_per_second = 0.0;         // of the whole batch, by that clock
  double engine_tokens_per_second = 0.0;  // the same by the engine's own Timings
};

// RETURNS: the context that the load needs, in tokens.
[[nodiscard]] int bench_context_length(const BenchLoad& load);

// Runs a load once. Prefill: from submitting to the first token of the last sequence. Decode: from
// there on, until batch * num_tokens further tokens have come; the first token of a sequence is
// prefill's. ERRORS: invalid_config where the batch does not fit in the KV memory at the same time;
// what the engine reports.
[[nodiscard]] BenchRun run_bench(Engine& engine, const BenchLoad& load);

}  // namespace mlxs
