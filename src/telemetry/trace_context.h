// The W3C trace context (https://www.w3.org/TR/trace-context/): which trace a request belongs to,
// and the ids of its spans.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mlxs {

using TraceId = std::array<std::uint8_t, 16>;  // not all zero
using SpanId = std::array<std::uint8_t, 8>;    // not all zero

struct TraceContext {
  TraceId trace = {};
  SpanId parent = {};
  bool is_sampled = true;
};

// RETURNS: what a `traceparent` header says; nothing where it is not a sound one.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view text);

// RETURNS: random ids.
[[nodiscard]] TraceId make_trace_id();
[[nodiscard]] SpanId make_span_id();

// RETURNS: lower-case hexadecimal digits.
[[nodiscard]] std::string hex(std::span<const std::uint8_t> bytes);

}  // namespace mlxs
