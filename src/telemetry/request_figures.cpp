// Names of our own: what clients ask and get, by model and by API key.
#include <cstddef>
#include <string>

#include "mlx_serving/error.h"
#include "telemetry/collector.h"
#include "telemetry/exposition.h"
#include "telemetry/exposition_parts.h"
#include "telemetry/family_list.h"
#include "telemetry/model_metrics.h"

namespace mlxs {
namespace {

void add_ends(const std::string& model, const ModelMetrics& metrics, FamilyList& list) {
  for (std::size_t i = 0; i < kNumFinishReasons; ++i) {
    list.counter(
        {"mlx_serving_requests_finished_total", "Requests that ended, by the reason of their end."},
        {{"model", model}, {"reason", std::string(kFinishNames[i])}},
        static_cast<double>(metrics.finishes[i].value())
    );
  }
  for (std::size_t i = 0; i < kNumErrorCodes; ++i) {
    list.counter(
        {"mlx_serving_request_failures_total", "Requests that ended with an error, by its code."},
        {{"model", model}, {"code", std::string(error_code_info(static_cast<ErrorCode>(i)).name)}},
        static_cast<double>(metrics.failures[i].value())
    );
  }
}

void add_tokens(const std::string& model, const ModelMetrics& metrics, FamilyList& list) {
  const Labels labels = {{"model", model}};
  list.counter(
      {"mlx_serving_prompt_tokens_total", "Prompt tokens of requests that got a first token."},
      labels,
      static_cast<double>(metrics.prompt_tokens.value())
  );
  list.counter(
      {"mlx_serving_cached_prompt_tokens_total",
       "Of the prompt tokens, those that the prefix cache had."},
      labels,
      static_cast<double>(metrics.cached_tokens.value())
  );
  list.counter(
      {"mlx_serving_generated_tokens_total", "Tokens that were sampled for requests."},
      labels,
      static_cast<double>(metrics.generated_tokens.value())
  );
  const FamilyName lengths = {
      "mlx_serving_request_tokens",
      "Tokens of finished requests by kind; quantiles as those of the phases."
  };
  list.summary(lengths, {{"model", model}, {"kind", "prompt"}}, metrics.prompt_lengths, kTokens);
  list.summary(
      lengths, {{"model", model}, {"kind", "generated"}}, metrics.generated_lengths, kTokens
  );
}

void add_keys(const std::string& model, const Collector& collector, FamilyList& list) {
  for (const KeyMetrics* key : collector.keys()) {
    const Labels labels = {{"model", model}, {"key", key->name}};
    const auto counter = [&](const char* name, const char* help, const Counter& value) {
      list.counter({name, help}, labels, static_cast<double>(value.value()));
    };
    counter(
        "mlx_serving_key_requests_total",
        "Requests by API key; no key: an empty label.",
        key->requests
    );
    counter(
        "mlx_serving_key_failures_total",
        "Requests of an API key that ended with an error.",
        key->failures
    );
    counter(
        "mlx_serving_key_prompt_tokens_total", "Prompt tokens of an API key.", key->prompt_tokens
    );
    counter(
        "mlx_serving_key_cached_prompt_tokens_total",
        "Of an API key's prompt tokens, those that the prefix cache had.",
        key->cached_tokens
    );
    counter(
        "mlx_serving_key_generated_tokens_total",
        "Tokens that were sampled for an API key.",
        key->generated_tokens
    );
    list.histogram(
        {"mlx_serving_key_first_token_seconds", "Submission to first token, by API key."},
        labels,
        key->first_token.snapshot(),
        kNanoseconds
    );
  }
}

}  // namespace

void add_request_figures(const ModelFigures& model, FamilyList& list) {
  const std::string& name = model.info.name;
  const ModelMetrics& metrics = model.collector.metrics();
  list.counter(
      {"mlx_serving_requests_total", "Requests that were submitted; each answer of n counts."},
      {{"model", name}},
      static_cast<double>(metrics.requests.value())
  );
  add_ends(name, metrics, list);
  add_tokens(name, metrics, list);
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i) {
    list.summary(
        {"mlx_serving_phase_seconds",
         "Times of requests by phase; quantiles since the start, 0.5 % from the exact ones at "
         "most."},
        {{"model", name}, {"phase", std::string(kPhaseNames[i])}},
        metrics.phases[i],
        kNanoseconds
    );
  }
  list.histogram(
      {"mlx_serving_first_token_seconds", "Submission to first token."},
      {{"model", name}},
      metrics.first_token.snapshot(),
      kNanoseconds
  );
  list.histogram(
      {"mlx_serving_next_token_seconds", "From one token to the next."},
      {{"model", name}},
      metrics.next_token.snapshot(),
      kNanoseconds
  );
  add_keys(name, model.collector, list);
}

}  // namespace mlxs
