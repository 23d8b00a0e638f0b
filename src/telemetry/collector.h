// What one engine counts of its requests and steps, while they run: by model, API key and phase.
// Nothing here waits for anything: an event is a few additions, and whoever reads takes what is
// there. How it is told to the world is the exposition's business.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"
#include "mlx_serving/event.h"
#include "telemetry/metric.h"
#include "telemetry/model_metrics.h"
#include "telemetry/profiler.h"
#include "telemetry/request_trace.h"
#include "telemetry/slo_monitor.h"
#include "telemetry/span.h"

namespace mlxs {

struct CollectorOptions {
  std::string model = {};  // its name, a label of every figure
  int context_length = 1;  // the token histograms end there
  bool is_on = true;       // false: nothing is counted
  SloTargets slo = {};
  std::int64_t weight_bytes = 0;        // that a step reads
  std::int64_t kv_bytes_per_token = 0;  // that it reads for each token that a row attends to
  double memory_bandwidth = 0.0;        // bytes a second; 0: not known
};

// What is asked, as far as it is counted.
struct RequestShape {
  int max_tokens = 0;  // 0: not said
  int num_answers = 1;
};

// A request's first token.
struct FirstToken {
  std::chrono::nanoseconds since_submission{0};
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of these
};

// A step that is done.
struct StepRecord {
  int decode_rows = 0;
  int prefill_rows = 0;
  std::chrono::nanoseconds duration{0};  // on the device
  std::chrono::nanoseconds gap{0};       // the device had none before although work was pending
  double context_tokens = 0.0;           // read from the KV pool, summed over sequences
};

// Thread safety: all members from any thread.
class Collector {
 public:
  using Clock = std::chrono::steady_clock;

  // Keys beyond this number are counted together under kOtherKeys: labels must stay few.
  static constexpr std::size_t kMaxKeys = 64;
  static constexpr std::string_view kOtherKeys = "other";

  explicit Collector(CollectorOptions options);

  [[nodiscard]] bool is_on() const { return options_.is_on; }
  [[nodiscard]] const std::string& model() const { return options_.model; }

  // RETURNS: the figures of a key, which live as long as the collector. The only member that locks;
  // called once a request, on the caller's thread.
  [[nodiscard]] KeyMetrics& key(std::string_view name);

  // A request was submitted.
  void record_request(KeyMetrics& key, const RequestShape& shape);
  // It ended: well, cancelled, or with an error. REQUIRES: in turn, the finish's reason is not
  // error, is error. `total` is since submission.
  void record_completion(const Finish& finish, std::chrono::nanoseconds total);
  void record_failure(KeyMetrics& key, ErrorCode code);

  // In between.
  void record_first_token(KeyMetrics& key, const FirstToken& token);
  void record_next_token(KeyMetrics& key, std::chrono::nanoseconds since_last);
  void record_step(const StepRecord& step);

  [[nodiscard]] const ModelMetrics& metrics() const { return metrics_; }
  [[nodiscard]] const SloMonitor& slo() const { return slo_; }
  [[nodiscard]] Profiler& profiler() { return profiler_; }
  [[nodiscard]] const CollectorOptions& options() const { return options_; }

  // Spans of requests that are submitted from now on go to `sink`; null: none are made. Of requests
  // without a trace context of their own this share is traced. REQUIRES: 0 <= share <= 1.
  void export_spans(std::shared_ptr<SpanSink> sink, double share);
  // RETURNS: the trace of a request that is submitted now, or null where it is not traced.
  [[nodiscard]] std::unique_ptr<RequestTrace> trace(
      const std::string& label, std::string_view traceparent
  );
  // RETURNS: the keys seen so far, by name. Valid as long as the collector.
  [[nodiscard]] std::vector<const KeyMetrics*> keys() const;

 private:
  const CollectorOptions options_;
  ModelMetrics metrics_;
  SloMonitor slo_;
  Profiler profiler_;
  mutable Mutex mutex_;
  std::shared_ptr<SpanSink> sink_ MLXS_GUARDED_BY(mutex_);  // shared with traces under way
  double traced_share_ MLXS_GUARDED_BY(mutex_) = 0.0;
  double trace_credit_ MLXS_GUARDED_BY(mutex_) = 0.0;
  std::map<std::string, std::unique_ptr<KeyMetrics>, std::less<>> keys_ MLXS_GUARDED_BY(mutex_);
};

// One request's way to a collector; what an engine's ticket carries. A default one counts nothing.
//
// Thread safety: used by one thread at a time.
class RequestMeter {
 public:
  RequestMeter() = default;
  // REQUIRES: `key` is the collector's. Counts the request.
  RequestMeter(std::shared_ptr<Collector> collector, KeyMetrics& key, const RequestShape& shape);

  // From now on also writes its trace; null: none.
  void trace(std::unique_ptr<RequestTrace> trace) { trace_ = std::move(trace); }

  void prefill_chunk(const PrefillChunk& chunk) const;
  void first_token(const FirstToken& token) const;
  void next_token(std::chrono::nanoseconds since_last) const;
  void finish(const Finish& finish, std::chrono::nanoseconds total) const;

 private:
  std::shared_ptr<Collector> collector_;  // shared with the engine, which may go first
  KeyMetrics* key_ = nullptr;
  std::unique_ptr<RequestTrace> trace_;  // null: it is not traced
};

}  // namespace mlxs
