// Spans in the JSON encoding of OTLP (https://opentelemetry.io/docs/specs/otlp/), which every
// collector takes over HTTP. It is plain JSON, so it needs neither opentelemetry-cpp nor protobuf
// and gRPC behind it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "telemetry/span.h"

namespace mlxs {

inline constexpr std::string_view kOtlpTracesPath = "/v1/traces";

// RETURNS: the body of one export.
[[nodiscard]] std::string otlp_json(std::span<const Span> spans, std::string_view version);

}  // namespace mlxs
