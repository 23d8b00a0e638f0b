// A span of a trace as OpenTelemetry has it, and where finished ones go.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "telemetry/trace_context.h"

namespace mlxs {

using AttributeValue = std::variant<std::int64_t, double, std::string>;

enum class SpanKind { internal = 1, server = 2 };  // OTLP's numbers

struct Span {
  TraceId trace = {};
  SpanId id = {};
  SpanId parent = {};  // all zero: none
  std::string name = {};
  SpanKind kind = SpanKind::internal;
  std::int64_t start_ns = 0;  // since the epoch
  std::int64_t end_ns = 0;
  std::vector<std::pair<std::string, AttributeValue>> attributes = {};
  std::string error = {};  // what went wrong; empty: nothing
};

// Thread safety: take() from any thread.
class SpanSink {
 public:
  virtual ~SpanSink() = default;

  // Takes the spans of one request. It must not wait: what it cannot keep it drops and counts.
  virtual void take(std::vector<Span> spans) = 0;
};

}  // namespace mlxs
