// The figures of one model and of one API key, as plain data: the collector writes them, an
// exposition reads them. Times are nanoseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "telemetry/buckets.h"
#include "telemetry/histogram.h"
#include "telemetry/metric.h"
#include "telemetry/quantile_sketch.h"

namespace mlxs {

// Of the time of a request.
enum class Phase {
  queue,        // from submission to the first step with a part of it
  prefill,      // from there to the first token
  decode,       // from there to the last
  total,        // from submission to the end
  first_token,  // from submission to the first token
  next_token    // from any token to the next
};
inline constexpr std::array<std::string_view, 6> kPhaseNames = {
    "queue", "prefill", "decode", "total", "first_token", "next_token"
};

inline constexpr std::size_t kNumErrorCodes = 17;
inline constexpr std::array<std::string_view, 4> kFinishNames = {  // by FinishReason
    "stop",
    "length",
    "cancelled",
    "error"
};
inline constexpr std::size_t kNumFinishReasons = kFinishNames.size();

struct KeyMetrics {
  explicit KeyMetrics(std::string key_name) : name(std::move(key_name)) {}

  const std::string name;  // empty: no keys are asked for
  Counter requests;
  Counter failures;
  Counter prompt_tokens;
  Counter cached_tokens;
  Counter generated_tokens;
  Histogram first_token{kFirstTokenEdges};
};

struct ModelMetrics {
  explicit ModelMetrics(std::span<const std::uint64_t> token_edges);

  [[nodiscard]] QuantileSketch& phase(Phase which) {
    return phases[static_cast<std::size_t>(which)];
  }

  Counter requests;
  std::array<Counter, kNumFinishReasons> finishes;  // by FinishReason
  std::array<Counter, kNumErrorCodes> failures;     // by ErrorCode
  Counter prompt_tokens;                            // of requests with a first token
  Counter cached_tokens;                            // of those
  Counter generated_tokens;
  std::array<QuantileSketch, kPhaseNames.size()> phases;
  QuantileSketch prompt_lengths;     // tokens, of requests that ended well
  QuantileSketch generated_lengths;  // the same

  Histogram first_token{kFirstTokenEdges};
  Histogram next_token{kNextTokenEdges};
  Histogram time_per_output_token{kNextTokenEdges};  // decode time over the tokens after the first
  Histogram total{kRequestTimeEdges};
  Histogram queue{kRequestTimeEdges};
  Histogram inference{kRequestTimeEdges};  // prefill and decode
  Histogram prefill{kRequestTimeEdges};
  Histogram decode{kRequestTimeEdges};
  Histogram request_prompt_tokens;
  Histogram request_computed_tokens;  // of the prompt, not cached
  Histogram request_generated_tokens;
  Histogram asked_tokens;  // max_tokens, where it was said
  Histogram asked_answers{kAnswerEdges};

  Counter steps;
  Counter decode_rows;
  Counter prefill_rows;
  Counter device_ns;   // of those steps
  Counter read_bytes;  // of weights and KV pool, estimated from what was in the steps
  Histogram step_time{kStepTimeEdges};
  QuantileSketch step_times;
  QuantileSketch host_gaps;
  Histogram step_tokens{kStepTokenEdges};
};

}  // namespace mlxs
