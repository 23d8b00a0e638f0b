// Names of attributes follow OpenTelemetry's for generative models where it has one. Times are
// steady; the wall clock is read once, so that a span never ends before it starts.
#include "telemetry/request_trace.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ratio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/model_metrics.h"
#include "telemetry/span.h"
#include "telemetry/trace_context.h"

namespace mlxs {
namespace {

constexpr std::size_t kMaxChunks = 256;

std::int64_t unix_now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch()
  )
      .count();
}

RequestTrace::Clock::duration duration_of(double milliseconds) {
  return std::chrono::duration_cast<RequestTrace::Clock::duration>(
      std::chrono::duration<double, std::milli>(milliseconds)
  );
}

std::vector<std::pair<std::string, AttributeValue>> attributes_of(
    const TracedRequest& request, const Finish& finish
) {
  const auto reason = static_cast<std::size_t>(finish.reason);
  return {
      {"gen_ai.system", "mlx-serving"},
      {"gen_ai.response.model", request.model},
      {"gen_ai.request.id", request.label},
      {"gen_ai.response.finish_reasons", std::string(kFinishNames[reason])},
      {"gen_ai.usage.input_tokens", std::int64_t{finish.usage.prompt_tokens}},
      {"gen_ai.usage.output_tokens", std::int64_t{finish.usage.completion_tokens}},
      {"gen_ai.latency.time_in_queue", finish.timings.queue_ms / 1e3},
      {"gen_ai.latency.time_to_first_token",
       (finish.timings.queue_ms + finish.timings.prefill_ms) / 1e3},
      {"mlx_serving.cached_tokens", std::int64_t{finish.usage.cached_tokens}},
  };
}

}  // namespace

RequestTrace::RequestTrace(std::shared_ptr<SpanSink> sink, TracedRequest request)
    : sink_(std::move(sink)),
      request_(std::move(request)),
      trace_(request_.parent ? request_.parent->trace : make_trace_id()),
      begin_unix_ns_(unix_now_ns()) {}

void RequestTrace::chunk(const PrefillChunk& chunk) {
  if (chunks_.size() < kMaxChunks) chunks_.push_back(chunk);
}

std::int64_t RequestTrace::unix_ns(Clock::time_point time) const {
  return begin_unix_ns_ +
         std::chrono::duration_cast<std::chrono::nanoseconds>(time - begin_).count();
}

Span RequestTrace::span(std::string_view name, Clock::time_point begin, Clock::time_point end)
    const {
  return {
      .trace = trace_,
      .id = make_span_id(),
      .parent = root_,
      .name = std::string(name),
      .start_ns = unix_ns(begin),
      .end_ns = unix_ns(end)
  };
}

void RequestTrace::finish(const Finish& finish) {
  const Clock::time_point end = Clock::now();
  std::vector<Span> spans = {span("llm_request", begin_, end)};
  Span& root = spans.front();
  root.id = root_;
  root.parent = request_.parent ? request_.parent->parent : SpanId{};
  root.kind = SpanKind::server;
  root.attributes = attributes_of(request_, finish);
  if (finish.reason == FinishReason::error) {
    root.error = finish.error ? finish.error->what() : "the request failed";
  } else if (finish.reason == FinishReason::cancelled) {
    root.error = "cancelled";
  }
  const Clock::time_point start = begin_ + duration_of(finish.timings.queue_ms);
  const Clock::time_point first = start + duration_of(finish.timings.prefill_ms);
  spans.push_back(span("queue", begin_, start));
  if (finish.timings.prefill_ms > 0.0) {
    spans.push_back(span("prefill", start, first));
    const SpanId prefill = spans.back().id;
    for (const PrefillChunk& chunk : chunks_) {
      spans.push_back(span("prefill_chunk", chunk.begin, chunk.end));
      spans.back().parent = prefill;
      spans.back().attributes = {{"mlx_serving.rows", std::int64_t{chunk.num_rows}}};
    }
  }
  if (finish.timings.decode_ms > 0.0)
    spans.push_back(span("decode", first, first + duration_of(finish.timings.decode_ms)));
  sink_->take(std::move(spans));
}

}  // namespace mlxs
