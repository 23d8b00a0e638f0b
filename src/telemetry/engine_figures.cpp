// Names of our own: steps, scheduler, submission ring and cache.
#include <string>

#include "mlx_serving/engine.h"
#include "telemetry/collector.h"
#include "telemetry/exposition.h"
#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"
#include "telemetry/model_metrics.h"

namespace mlxs {
namespace {

constexpr double kMsPerSecond = 1e3;

Labels of(const std::string& model, const char* name, const char* value) {
  return {{"model", model}, {name, value}};
}

void add_steps(const std::string& model, const ModelMetrics& metrics, FamilyList& list) {
  const Labels labels = {{"model", model}};
  list.counter(
      {"mlx_serving_steps_total", "Forward passes that ended well."},
      labels,
      static_cast<double>(metrics.steps.value())
  );
  const FamilyName rows = {"mlx_serving_step_rows_total", "Rows of the steps, by their kind."};
  list.counter(rows, of(model, "kind", "decode"), static_cast<double>(metrics.decode_rows.value()));
  list.counter(
      rows, of(model, "kind", "prefill"), static_cast<double>(metrics.prefill_rows.value())
  );
  list.histogram(
      {"mlx_serving_step_seconds", "Time of a step on the device."},
      labels,
      metrics.step_time.snapshot(),
      kNanoseconds
  );
  list.summary(
      {"mlx_serving_step_quantiles_seconds", "Time of a step on the device, as quantiles."},
      labels,
      metrics.step_times,
      kNanoseconds
  );
  list.summary(
      {"mlx_serving_host_gap_seconds",
       "Time before a step in which the device had none although work was pending."},
      labels,
      metrics.host_gaps,
      kNanoseconds
  );
}

void add_queue(const std::string& model, const EngineStats& stats, FamilyList& list) {
  const SchedulerFigures& scheduler = stats.scheduler;
  const FamilyName sequences = {
      "mlx_serving_sequences",
      "Requests in the engine by state; parked and swapped ones are among those waiting."
  };
  list.gauge(sequences, of(model, "state", "running"), stats.num_running);
  list.gauge(sequences, of(model, "state", "waiting"), stats.num_waiting);
  list.gauge(sequences, of(model, "state", "parked"), scheduler.num_parked);
  list.gauge(sequences, of(model, "state", "swapped"), scheduler.num_swapped);
  const FamilyName refused = {
      "mlx_serving_refused_requests_total", "Requests that the scheduler refused, by reason."
  };
  list.counter(
      refused,
      of(model, "reason", "queue_full"),
      static_cast<double>(scheduler.num_refused_queue_full)
  );
  list.counter(
      refused, of(model, "reason", "deadline"), static_cast<double>(scheduler.num_refused_deadline)
  );
  list.counter(
      {"mlx_serving_expired_requests_total", "Requests whose deadline passed."},
      {{"model", model}},
      static_cast<double>(scheduler.num_expired)
  );
  const FamilyName preemptions = {
      "mlx_serving_preemptions_total", "Sequences that made room, by what became of their pages."
  };
  list.counter(
      preemptions, of(model, "kind", "recompute"), static_cast<double>(scheduler.num_recomputes)
  );
  list.counter(preemptions, of(model, "kind", "swap"), static_cast<double>(scheduler.num_swaps));
  list.counter(
      {"mlx_serving_aged_starts_total", "Starts of a request because it had waited longest."},
      {{"model", model}},
      static_cast<double>(scheduler.num_aged_starts)
  );
  list.gauge(
      {"mlx_serving_prefill_budget_rows", "Prompt rows that the newest step could have taken."},
      {{"model", model}},
      scheduler.prefill_budget
  );
}

void add_ring(const std::string& model, const EngineStats& stats, FamilyList& list) {
  const RingFigures& ring = stats.ring;
  const Labels labels = {{"model", model}};
  const FamilyName time = {
      "mlx_serving_device_seconds_total",
      "Time of the device with work pending, by whether it had a step."
  };
  list.counter(time, of(model, "state", "busy"), ring.busy_ms / kMsPerSecond);
  list.counter(time, of(model, "state", "idle"), ring.idle_ms / kMsPerSecond);
  list.counter(
      {"mlx_serving_host_wait_seconds_total", "Time that the host waited for the device."},
      labels,
      ring.wait_ms / kMsPerSecond
  );
  list.gauge(
      {"mlx_serving_steps_in_flight", "Steps on the device."}, labels, stats.num_in_flight_steps
  );
  list.gauge(
      {"mlx_serving_ring_mean_steps", "Steps in flight, weighted with time."},
      labels,
      ring.mean_occupancy
  );
  const FamilyName failed = {
      "mlx_serving_failed_steps_total", "Steps that did not end well, by what went wrong."
  };
  list.counter(failed, of(model, "cause", "device"), static_cast<double>(ring.num_failed));
  list.counter(failed, of(model, "cause", "timeout"), static_cast<double>(ring.num_timeouts));
}

// The share of what the memory could have given; only where that is known.
void add_roofline(const ModelFigures& model, FamilyList& list) {
  const Labels labels = {{"model", model.info.name}};
  const ModelMetrics& metrics = model.collector.metrics();
  const auto bytes = static_cast<double>(metrics.read_bytes.value());
  const double seconds = static_cast<double>(metrics.device_ns.value()) / kNanoseconds;
  list.counter(
      {"mlx_serving_read_bytes_total",
       "Bytes of weights and KV pages that the steps had to read, estimated from what was in them."
      },
      labels,
      bytes
  );
  const double bandwidth = model.collector.options().memory_bandwidth;
  if (bandwidth <= 0.0 || seconds <= 0.0) return;
  list.gauge(
      {"mlx_serving_bandwidth_ratio",
       "Of the memory's bandwidth, what the steps since the start have read, by that estimate."},
      labels,
      bytes / seconds / bandwidth
  );
}

void add_memory(const ModelFigures& model, FamilyList& list) {
  const std::string& name = model.info.name;
  const EngineStats& stats = model.stats;
  const FamilyName pages = {"mlx_serving_pages", "Pages of the KV pools by state."};
  list.gauge(
      pages,
      of(name, "state", "held"),
      stats.num_pages - stats.num_free_pages - stats.num_cached_pages
  );
  list.gauge(pages, of(name, "state", "cached"), stats.num_cached_pages);
  list.gauge(pages, of(name, "state", "free"), stats.num_free_pages);
  list.gauge(
      {"mlx_serving_page_tokens", "Tokens of one page."}, {{"model", name}}, stats.page_size
  );
  list.gauge(
      {"mlx_serving_weight_bytes", "Bytes of the model's weights."},
      {{"model", name}},
      static_cast<double>(model.info.weight_bytes)
  );
  list.gauge(
      {"mlx_serving_model_info", "1; its labels say what is served."},
      {{"model", name}, {"family", model.info.family}, {"quantization", model.info.quantization}},
      1.0
  );
}

}  // namespace

void add_engine_figures(const ModelFigures& model, FamilyList& list) {
  const std::string& name = model.info.name;
  add_steps(name, model.collector.metrics(), list);
  add_queue(name, model.stats, list);
  add_ring(name, model.stats, list);
  add_memory(model, list);
  add_roofline(model, list);
}

}  // namespace mlxs
