// Every record_ function is the list of what its event adds to.
#include "telemetry/collector.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/buckets.h"
#include "telemetry/model_metrics.h"
#include "telemetry/request_trace.h"
#include "telemetry/slo_monitor.h"
#include "telemetry/span.h"
#include "telemetry/trace_context.h"

namespace mlxs {
namespace {

static_assert(kNumErrorCodes == static_cast<std::size_t>(ErrorCode::io_error) + 1);
static_assert(kNumFinishReasons == static_cast<std::size_t>(FinishReason::error) + 1);
static_assert(kPhaseNames.size() == static_cast<std::size_t>(Phase::next_token) + 1);

constexpr int kFirstServerStatus = 500;  // of HTTP: from here on it is a fault of ours

// What comes from clocks may be a little below zero where two threads read them.
std::uint64_t whole(std::chrono::nanoseconds duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
}

std::uint64_t whole(int tokens) { return static_cast<std::uint64_t>(std::max(0, tokens)); }

std::uint64_t nanoseconds_of(double milliseconds) {
  return static_cast<std::uint64_t>(
      std::llround(std::max(0.0, milliseconds) * static_cast<double>(kMsInNs))
  );
}

// As vLLM has it: no edge beyond what a sequence can have.
std::span<const std::uint64_t> token_edges(int context_length) {
  const auto end = std::ranges::upper_bound(kTokenEdges, whole(std::max(1, context_length)));
  return {kTokenEdges.begin(), end};
}

}  // namespace

ModelMetrics::ModelMetrics(std::span<const std::uint64_t> edges)
    : request_prompt_tokens(edges),
      request_computed_tokens(edges),
      request_generated_tokens(edges),
      asked_tokens(edges) {}

Collector::Collector(CollectorOptions options)
    : options_(std::move(options)),
      metrics_(token_edges(options_.context_length)),
      slo_(options_.slo) {}

KeyMetrics& Collector::key(std::string_view name) {
  MutexLock lock(mutex_);
  auto found = keys_.find(name);
  if (found == keys_.end() && keys_.size() >= kMaxKeys) {
    name = kOtherKeys;
    found = keys_.find(name);
  }
  if (found == keys_.end())
    found = keys_.emplace(std::string(name), std::make_unique<KeyMetrics>(std::string(name))).first;
  return *found->second;
}

std::vector<const KeyMetrics*> Collector::keys() const {
  MutexLock lock(mutex_);
  std::vector<const KeyMetrics*> keys;
  keys.reserve(keys_.size());
  for (const auto& entry : keys_) keys.push_back(entry.second.get());
  return keys;
}

void Collector::export_spans(std::shared_ptr<SpanSink> sink, double share) {
  MutexLock lock(mutex_);
  sink_ = std::move(sink);
  traced_share_ = share;
}

// Which of the requests without a context are traced needs no chance: every n-th is.
std::unique_ptr<RequestTrace> Collector::trace(
    const std::string& label, std::string_view traceparent
) {
  std::shared_ptr<SpanSink> sink;
  const std::optional<TraceContext> parent = parse_traceparent(traceparent);
  {
    MutexLock lock(mutex_);
    if (!sink_ || (parent && !parent->is_sampled)) return nullptr;
    if (!parent) {
      trace_credit_ += traced_share_;
      if (trace_credit_ < 1.0) return nullptr;
      trace_credit_ -= 1.0;
    }
    sink = sink_;
  }
  return std::make_unique<RequestTrace>(
      std::move(sink), TracedRequest{.model = model(), .label = label, .parent = parent}
  );
}

void Collector::record_request(KeyMetrics& key, const RequestShape& shape) {
  if (!is_on()) return;
  key.requests.add();
  metrics_.requests.add();
  if (shape.max_tokens > 0) metrics_.asked_tokens.observe(whole(shape.max_tokens));
  metrics_.asked_answers.observe(whole(shape.num_answers));
}

void Collector::record_completion(const Finish& finish, std::chrono::nanoseconds total) {
  if (!is_on()) return;
  metrics_.finishes[static_cast<std::size_t>(finish.reason)].add();
  slo_.observe(SloKind::errors, true);
  if (finish.reason == FinishReason::cancelled) return;  // its times say when a client left
  const std::uint64_t queue = nanoseconds_of(finish.timings.queue_ms);
  const std::uint64_t prefill = nanoseconds_of(finish.timings.prefill_ms);
  const std::uint64_t decode = nanoseconds_of(finish.timings.decode_ms);
  metrics_.phase(Phase::queue).observe(queue);
  metrics_.phase(Phase::prefill).observe(prefill);
  metrics_.phase(Phase::decode).observe(decode);
  metrics_.phase(Phase::total).observe(whole(total));
  metrics_.queue.observe(queue);
  metrics_.prefill.observe(prefill);
  metrics_.decode.observe(decode);
  metrics_.inference.observe(prefill + decode);
  metrics_.total.observe(whole(total));
  const Usage& usage = finish.usage;
  metrics_.prompt_lengths.observe(whole(usage.prompt_tokens));
  metrics_.generated_lengths.observe(whole(usage.completion_tokens));
  metrics_.request_prompt_tokens.observe(whole(usage.prompt_tokens));
  metrics_.request_computed_tokens.observe(whole(usage.prompt_tokens - usage.cached_tokens));
  metrics_.request_generated_tokens.observe(whole(usage.completion_tokens));
  if (usage.completion_tokens > 1)
    metrics_.time_per_output_token.observe(decode / whole(usage.completion_tokens - 1));
}

void Collector::record_failure(KeyMetrics& key, ErrorCode code) {
  if (!is_on()) return;
  key.failures.add();
  metrics_.finishes[static_cast<std::size_t>(FinishReason::error)].add();
  metrics_.failures[static_cast<std::size_t>(code)].add();
  slo_.observe(SloKind::errors, error_code_info(code).http_status < kFirstServerStatus);
}

void Collector::record_first_token(KeyMetrics& key, const FirstToken& token) {
  if (!is_on()) return;
  const std::uint64_t since_submission = whole(token.since_submission);
  metrics_.first_token.observe(since_submission);
  slo_.observe_time(SloKind::first_token, since_submission);
  metrics_.phase(Phase::first_token).observe(since_submission);
  metrics_.prompt_tokens.add(whole(token.prompt_tokens));
  metrics_.cached_tokens.add(whole(token.cached_tokens));
  metrics_.generated_tokens.add();
  key.first_token.observe(since_submission);
  key.prompt_tokens.add(whole(token.prompt_tokens));
  key.cached_tokens.add(whole(token.cached_tokens));
  key.generated_tokens.add();
}

void Collector::record_next_token(KeyMetrics& key, std::chrono::nanoseconds since_last) {
  if (!is_on()) return;
  const std::uint64_t time = whole(since_last);
  metrics_.next_token.observe(time);
  slo_.observe_time(SloKind::next_token, time);
  metrics_.phase(Phase::next_token).observe(time);
  metrics_.generated_tokens.add();
  key.generated_tokens.add();
}

void Collector::record_step(const StepRecord& step) {
  if (!is_on()) return;
  metrics_.steps.add();
  metrics_.decode_rows.add(whole(step.decode_rows));
  metrics_.prefill_rows.add(whole(step.prefill_rows));
  metrics_.step_tokens.observe(whole(step.decode_rows + step.prefill_rows));
  const std::uint64_t duration = whole(step.duration);
  metrics_.step_time.observe(duration);
  metrics_.step_times.observe(duration);
  metrics_.host_gaps.observe(whole(step.gap));
  metrics_.device_ns.add(duration);
  metrics_.read_bytes.add(
      static_cast<std::uint64_t>(options_.weight_bytes) +
      static_cast<std::uint64_t>(
          step.context_tokens * static_cast<double>(options_.kv_bytes_per_token)
      )
  );
}

RequestMeter::RequestMeter(
    std::shared_ptr<Collector> collector, KeyMetrics& key, const RequestShape& shape
)
    : collector_(std::move(collector)), key_(&key) {
  collector_->record_request(key, shape);
}

void RequestMeter::prefill_chunk(const PrefillChunk& chunk) const {
  if (trace_) trace_->chunk(chunk);
}

void RequestMeter::first_token(const FirstToken& token) const {
  if (collector_) collector_->record_first_token(*key_, token);
}

void RequestMeter::next_token(std::chrono::nanoseconds since_last) const {
  if (collector_) collector_->record_next_token(*key_, since_last);
}

void RequestMeter::finish(const Finish& finish, std::chrono::nanoseconds total) const {
  if (trace_) trace_->finish(finish);
  if (!collector_) return;
  if (finish.reason == FinishReason::error) {
    collector_->record_failure(
        *key_, finish.error ? finish.error->code() : ErrorCode::engine_error
    );
  } else {
    collector_->record_completion(finish, total);
  }
}

}  // namespace mlxs
