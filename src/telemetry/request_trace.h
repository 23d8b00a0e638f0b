// The spans of one request: queue, prefill with its chunks, decode, under one span for the whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/event.h"
#include "telemetry/span.h"
#include "telemetry/trace_context.h"

namespace mlxs {

// A run of prompt rows that one step computed.
struct PrefillChunk {
  std::chrono::steady_clock::time_point begin = {};
  std::chrono::steady_clock::time_point end = {};
  int num_rows = 0;
};

struct TracedRequest {
  std::string model = {};
  std::string label = {};                   // the caller's id
  std::optional<TraceContext> parent = {};  // none: a trace of its own
};

// Thread safety: used by one thread at a time, as the ticket that holds it.
class RequestTrace {
 public:
  using Clock = std::chrono::steady_clock;

  // The request was submitted now. REQUIRES: `sink` is not null.
  RequestTrace(std::shared_ptr<SpanSink> sink, TracedRequest request);

  // Of very many chunks the last ones are left out.
  void chunk(const PrefillChunk& chunk);

  // It ended now: the spans go to the sink.
  void finish(const Finish& finish);

 private:
  [[nodiscard]] Span span(std::string_view name, Clock::time_point begin, Clock::time_point end)
      const;
  [[nodiscard]] std::int64_t unix_ns(Clock::time_point time) const;

  const std::shared_ptr<SpanSink> sink_;  // shared with the collector, which may change it
  const TracedRequest request_;
  const TraceId trace_;
  const SpanId root_ = make_span_id();
  const Clock::time_point begin_ = Clock::now();
  const std::int64_t begin_unix_ns_;
  std::vector<PrefillChunk> chunks_;
};

}  // namespace mlxs
