// The W3C header, the spans of a request and their OTLP form.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/otlp_json.h"
#include "telemetry/request_trace.h"
#include "telemetry/span.h"
#include "telemetry/trace_context.h"

namespace mlxs {
namespace {

constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr const char* kParent = "00f067aa0ba902b7";

std::string traceparent(std::string_view version, std::string_view flags) {
  return std::string(version) + "-" + kTrace + "-" + kParent + "-" + std::string(flags);
}

TEST(Traceparent, TakesWhatTheStandardAllows) {
  const auto context = parse_traceparent(traceparent("00", "01"));
  ASSERT_TRUE(context);
  EXPECT_EQ(hex(context->trace), kTrace);
  EXPECT_EQ(hex(context->parent), kParent);
  EXPECT_TRUE(context->is_sampled);
  EXPECT_FALSE(parse_traceparent(traceparent("00", "00"))->is_sampled);
  EXPECT_TRUE(parse_traceparent(traceparent("cc", "03") + "-more"));
}

TEST(Traceparent, RefusesTheRest) {
  const std::string sound = traceparent("00", "01");
  for (const std::string& text : std::vector<std::string>{
           "",
           sound.substr(1),
           sound + "-more",
           traceparent("ff", "01"),
           traceparent("cc", "01") + "x",
           traceparent("0g", "01"),
           "00-" + std::string(32, '0') + "-" + kParent + "-01",
           "00-" + std::string(kTrace) + "-" + std::string(16, '0') + "-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"
       })
    EXPECT_FALSE(parse_traceparent(text)) << text;
}

class KeepingSink final : public SpanSink {
 public:
  void take(std::vector<Span> taken) override { spans = std::move(taken); }
  [[nodiscard]] const Span& named(std::string_view name) const {
    for (const Span& span : spans) {
      if (span.name == name) return span;
    }
    throw std::runtime_error("no span " + std::string(name));
  }
  std::vector<Span> spans;
};

Finish finish_after(double queue_ms, double prefill_ms, double decode_ms) {
  Finish finish;
  finish.usage = {.prompt_tokens = 40, .cached_tokens = 8, .completion_tokens = 5};
  finish.timings = {.queue_ms = queue_ms, .prefill_ms = prefill_ms, .decode_ms = decode_ms};
  return finish;
}

TEST(RequestTrace, IsATreeUnderTheCallersSpan) {
  const auto sink = std::make_shared<KeepingSink>();
  RequestTrace trace(
      sink, {.model = "small", .label = "r1", .parent = parse_traceparent(traceparent("00", "01"))}
  );
  const auto now = RequestTrace::Clock::now();
  trace.chunk({.begin = now, .end = now + std::chrono::milliseconds(2), .num_rows = 32});
  trace.finish(finish_after(1.0, 5.0, 8.0));

  ASSERT_EQ(sink->spans.size(), 5U);
  const Span& root = sink->named("llm_request");
  EXPECT_EQ(hex(root.parent), kParent);
  for (const Span& span : sink->spans) EXPECT_EQ(hex(span.trace), kTrace);
  EXPECT_EQ(sink->named("queue").parent, root.id);
  EXPECT_EQ(sink->named("decode").parent, root.id);
  const Span& prefill = sink->named("prefill");
  EXPECT_EQ(sink->named("prefill_chunk").parent, prefill.id);
  EXPECT_EQ(prefill.start_ns, sink->named("queue").end_ns);
  EXPECT_EQ(prefill.end_ns - prefill.start_ns, 5'000'000);
  EXPECT_EQ(sink->named("decode").end_ns - prefill.end_ns, 8'000'000);
  const Span& chunk = sink->named("prefill_chunk");
  EXPECT_EQ(chunk.end_ns - chunk.start_ns, 2'000'000);
}

TEST(RequestTrace, OfARefusedRequestIsItsQueueAndTheError) {
  const auto sink = std::make_shared<KeepingSink>();
  RequestTrace trace(sink, {.model = "small"});
  Finish finish = finish_after(1.0, 0.0, 0.0);
  finish.reason = FinishReason::error;
  finish.error = Error(ErrorCode::overloaded, "too much");
  trace.finish(finish);
  ASSERT_EQ(sink->spans.size(), 2U);
  EXPECT_EQ(sink->named("llm_request").error, "too much");
  EXPECT_EQ(sink->named("llm_request").parent, SpanId{});
}

TEST(OtlpJson, HasTheFormThatCollectorsTake) {
  Span span{
      .name = "queue", .start_ns = 1'700'000'000'000'000'001, .end_ns = 1'700'000'000'000'000'002
  };
  span.trace = parse_traceparent(traceparent("00", "01"))->trace;
  span.id.fill(0xab);
  span.attributes = {{"a", std::int64_t{1}}, {"b", 0.5}, {"c", std::string("x")}};
  span.error = "late";
  const std::vector<Span> spans = {span};
  const json::value body = parse_json(otlp_json(spans, "1.2"));
  EXPECT_EQ(
      body.at_pointer("/resourceSpans/0/resource/attributes/0/value/stringValue"), "mlx-serving"
  );
  const json::value& told = body.at_pointer("/resourceSpans/0/scopeSpans/0/spans/0");
  EXPECT_EQ(told.at_pointer("/traceId"), kTrace);
  EXPECT_EQ(told.at_pointer("/spanId"), "abababababababab");
  EXPECT_EQ(told.at_pointer("/startTimeUnixNano"), "1700000000000000001");
  EXPECT_EQ(told.at_pointer("/attributes/0/value/intValue"), "1");
  EXPECT_EQ(told.at_pointer("/attributes/1/value/doubleValue"), 0.5);
  EXPECT_EQ(told.at_pointer("/attributes/2/value/stringValue"), "x");
  EXPECT_EQ(told.at_pointer("/status/code"), 2);
  EXPECT_FALSE(told.as_object().contains("parentSpanId"));
}

}  // namespace
}  // namespace mlxs
