// vLLM's names, labels and bucket edges (its version 1 engine), as far as the same thing exists
// here. What does not exist here (LoRA, speculative decoding) is absent.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"
#include "telemetry/exposition.h"
#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"
#include "telemetry/model_metrics.h"

namespace mlxs {
namespace {

constexpr std::array<const char*, kNumFinishReasons> kFinishedReasons = {
    "stop", "length", "abort", "error"
};

Labels with(Labels labels, const std::string& name, const std::string& value) {
  labels.push_back({name, value});
  return labels;
}

void add_gauges(const Labels& labels, const EngineStats& stats, FamilyList& list) {
  const auto gauge = [&](const char* name, const char* help, double value) {
    list.gauge({name, help}, labels, value);
  };
  gauge("vllm:num_requests_running", "Requests in execution.", stats.num_running);
  gauge("vllm:num_requests_waiting", "Requests that wait.", stats.num_waiting);
  const int deferred = std::min(stats.num_waiting, stats.scheduler.num_parked);
  const FamilyName by_reason = {
      "vllm:num_requests_waiting_by_reason", "Requests that wait, by reason."
  };
  list.gauge(by_reason, with(labels, "reason", "capacity"), stats.num_waiting - deferred);
  list.gauge(by_reason, with(labels, "reason", "deferred"), deferred);
  const FamilyName sleep = {"vllm:engine_sleep_state", "1 for the state that the engine is in."};
  list.gauge(sleep, with(labels, "sleep_state", "awake"), 1.0);
  list.gauge(sleep, with(labels, "sleep_state", "weights_offloaded"), 0.0);
  list.gauge(sleep, with(labels, "sleep_state", "discard_all"), 0.0);
  const int held = stats.num_pages - stats.num_free_pages - stats.num_cached_pages;
  const double usage = static_cast<double>(held) / std::max(1, stats.num_pages);
  gauge("vllm:kv_cache_usage_perc", "KV cache usage; 1 is all of it.", usage);
  gauge("vllm:gpu_cache_usage_perc", "As vllm:kv_cache_usage_perc, by its older name.", usage);
  list.gauge(
      {"vllm:cache_config_info", "The KV cache's configuration."},
      with(
          with(labels, "block_size", std::to_string(stats.page_size)),
          "num_gpu_blocks",
          std::to_string(stats.num_pages)
      ),
      1.0
  );
}

void add_counters(
    const Labels& labels,
    const ModelMetrics& metrics,
    std::uint64_t num_preemptions,
    FamilyList& list
) {
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    list.counter({name, help}, labels, static_cast<double>(value));
  };
  const std::uint64_t prompt = metrics.prompt_tokens.value();
  const std::uint64_t cached = std::min(prompt, metrics.cached_tokens.value());
  counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up.", prompt);
  counter("vllm:prefix_cache_hits_total", "Prompt tokens found.", cached);
  counter("vllm:gpu_prefix_cache_queries_total", "By its older name.", prompt);
  counter("vllm:gpu_prefix_cache_hits_total", "By its older name.", cached);
  counter("vllm:num_preemptions_total", "Preemptions.", num_preemptions);
  counter("vllm:prompt_tokens_total", "Prompt tokens.", prompt);
  counter("vllm:prompt_tokens_cached_total", "Cached prompt tokens.", cached);
  const FamilyName by_source = {
      "vllm:prompt_tokens_by_source_total", "Prompt tokens, by where they came from."
  };
  list.counter(
      by_source, with(labels, "source", "local_compute"), static_cast<double>(prompt - cached)
  );
  list.counter(by_source, with(labels, "source", "local_cache_hit"), static_cast<double>(cached));
  counter(
      "vllm:estimated_read_bytes_per_gpu_total",
      "Bytes read, estimated.",
      metrics.read_bytes.value()
  );
  counter("vllm:generation_tokens_total", "Generated tokens.", metrics.generated_tokens.value());
  for (std::size_t i = 0; i < kNumFinishReasons; ++i) {
    list.counter(
        {"vllm:request_success_total", "Finished requests."},
        with(labels, "finished_reason", kFinishedReasons[i]),
        static_cast<double>(metrics.finishes[i].value())
    );
  }
}

void add_times(const Labels& labels, const ModelMetrics& metrics, FamilyList& list) {
  const auto times = [&](const char* name, const char* help, const Histogram& histogram) {
    list.histogram({name, help}, labels, histogram.snapshot(), kNanoseconds);
  };
  times("vllm:time_to_first_token_seconds", "Time to first token.", metrics.first_token);
  times("vllm:inter_token_latency_seconds", "Time between tokens.", metrics.next_token);
  times("vllm:time_per_output_token_seconds", "By its older name.", metrics.next_token);
  times(
      "vllm:request_time_per_output_token_seconds",
      "Decode time of a request over its tokens after the first.",
      metrics.time_per_output_token
  );
  times("vllm:e2e_request_latency_seconds", "From submission to end.", metrics.total);
  times("vllm:request_queue_time_seconds", "In the phase WAITING.", metrics.queue);
  times("vllm:request_inference_time_seconds", "In the phase RUNNING.", metrics.inference);
  times("vllm:request_prefill_time_seconds", "In the phase PREFILL.", metrics.prefill);
  times("vllm:request_decode_time_seconds", "In the phase DECODE.", metrics.decode);
}

void add_token_counts(const Labels& labels, const ModelMetrics& metrics, FamilyList& list) {
  const auto tokens = [&](const char* name, const char* help, const Histogram& histogram) {
    list.histogram({name, help}, labels, histogram.snapshot(), kTokens);
  };
  tokens("vllm:request_prompt_tokens", "Prompt tokens.", metrics.request_prompt_tokens);
  tokens("vllm:request_generation_tokens", "Generated tokens.", metrics.request_generated_tokens);
  tokens("vllm:iteration_tokens_total", "Tokens of an engine step.", metrics.step_tokens);
  tokens(
      "vllm:request_max_num_generation_tokens",
      "Most tokens that a request may generate.",
      metrics.asked_tokens
  );
  tokens("vllm:request_params_max_tokens", "The parameter max_tokens.", metrics.asked_tokens);
  tokens("vllm:request_params_n", "The parameter n.", metrics.asked_answers);
  tokens(
      "vllm:request_prefill_kv_computed_tokens",
      "Prompt tokens that were computed, not cached.",
      metrics.request_computed_tokens
  );
}

}  // namespace

void add_vllm_figures(const ModelFigures& model, FamilyList& list) {
  const Labels labels = {{"model_name", model.info.name}, {"engine", "0"}};
  const ModelMetrics& metrics = model.collector.metrics();
  add_gauges(labels, model.stats, list);
  add_counters(labels, metrics, model.stats.num_preemptions, list);
  add_times(labels, metrics, list);
  add_token_counts(labels, metrics, list);
}

}  // namespace mlxs
