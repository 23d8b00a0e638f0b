// Ids are hexadecimal and 64-bit integers decimal strings, as OTLP's JSON has them.
#include "telemetry/otlp_json.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"
#include "telemetry/span.h"
#include "telemetry/trace_context.h"

namespace mlxs {
namespace {

constexpr int kStatusError = 2;

json::string_view view(std::string_view text) { return {text.data(), text.size()}; }

json::object value_object(const AttributeValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return {{"intValue", std::to_string(*integer)}};
  if (const auto* real = std::get_if<double>(&value)) return {{"doubleValue", *real}};
  return {{"stringValue", std::get<std::string>(value)}};
}

json::object attribute(std::string_view key, const AttributeValue& value) {
  return {{"key", view(key)}, {"value", value_object(value)}};
}

json::object span_object(const Span& span) {
  json::array attributes;
  for (const auto& [key, value] : span.attributes) attributes.push_back(attribute(key, value));
  json::object object = {
      {"traceId", hex(span.trace)},
      {"spanId", hex(span.id)},
      {"name", span.name},
      {"kind", static_cast<int>(span.kind)},
      {"startTimeUnixNano", std::to_string(span.start_ns)},
      {"endTimeUnixNano", std::to_string(span.end_ns)},
      {"attributes", attributes}
  };
  const bool has_parent =
      std::ranges::any_of(span.parent, [](std::uint8_t byte) { return byte != 0; });
  if (has_parent) object["parentSpanId"] = hex(span.parent);
  if (!span.error.empty())
    object["status"] = json::object{{"code", kStatusError}, {"message", span.error}};
  return object;
}

}  // namespace

std::string otlp_json(std::span<const Span> spans, std::string_view version) {
  json::array list;
  for (const Span& span : spans) list.push_back(span_object(span));
  const json::object scope = {{"name", "mlx-serving"}, {"version", view(version)}};
  json::array scope_spans = {json::object{{"scope", scope}, {"spans", list}}};
  const json::array resource_attributes = {
      attribute("service.name", std::string("mlx-serving")),
      attribute("service.version", std::string(version))
  };
  json::array resource_spans = {json::object{
      {"resource", json::object{{"attributes", resource_attributes}}}, {"scopeSpans", scope_spans}
  }};
  return json::serialize(json::object{{"resourceSpans", resource_spans}});
}

}  // namespace mlxs
