// From a request's parameters to a row. Most rows keep to the four filters that choose_row knows,
// in its order, and so cost what they always did.
#include "sampling/sampling_batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/choose_token/filter_row.h"
#include "mlx_serving/sampling.h"
#include "sampling/philox.h"
#include "sampling/token_rules.h"

namespace mlxs {
namespace {

constexpr SamplerKind kAllSamplers[] = {
    SamplerKind::temperature,
    SamplerKind::top_n_sigma,
    SamplerKind::top_k,
    SamplerKind::typical_p,
    SamplerKind::top_p,
    SamplerKind::min_p,
    SamplerKind::xtc
};

bool is_active(SamplerKind kind, const SamplingParams& params) {
  switch (kind) {
    case SamplerKind::temperature:
      return params.temperature != 1.0F || params.dynatemp_range > 0.0F;
    case SamplerKind::top_n_sigma:
      return params.top_n_sigma > 0.0F;
    case SamplerKind::top_k:
      return params.top_k > 0;
    case SamplerKind::typical_p:
      return params.typical_p < 1.0F;
    case SamplerKind::top_p:
      return params.top_p < 1.0F;
    case SamplerKind::min_p:
      return params.min_p > 0.0F;
    case SamplerKind::xtc:
      return params.xtc.probability > 0.0F;
  }
  return false;
}

// What does something, in the order in which it does.
std::vector<SamplerKind> active_samplers(const SamplingParams& params) {
  std::vector<SamplerKind> active;
  const auto add = [&](SamplerKind kind) {
    if (is_active(kind, params)) active.push_back(kind);
  };
  if (params.mirostat.version != 0) {
    if (params.temperature != 1.0F) active.push_back(SamplerKind::temperature);
  } else if (params.samplers.empty()) {
    for (const SamplerKind kind : kAllSamplers) add(kind);
  } else {
    for (const SamplerKind kind : params.samplers) add(kind);
  }
  return active;
}

bool has(const std::vector<SamplerKind>& kinds, SamplerKind kind) {
  return std::ranges::find(kinds, kind) != kinds.end();
}

// Whether choose_row does all of it, in this order.
bool is_plain(const std::vector<SamplerKind>& active, const SamplingParams& params) {
  constexpr SamplerKind kPlain[] = {
      SamplerKind::temperature, SamplerKind::top_k, SamplerKind::top_p, SamplerKind::min_p
  };
  if (params.mirostat.version != 0) return false;
  if (params.dynatemp_range > 0.0F && has(active, SamplerKind::temperature)) return false;
  std::size_t next = 0;
  for (const SamplerKind kind : kPlain) {
    if (next < active.size() && active[next] == kind) ++next;
  }
  return next == active.size();
}

FilterRule filter_rule(const SamplingParams& params, const std::vector<SamplerKind>& active) {
  FilterRule rule{
      .num_filters = std::min(active.size(), kNumSamplerKinds),
      .temperature = params.temperature,
      .dynatemp_range = params.mirostat.version == 0 ? params.dynatemp_range : 0.0F,
      .dynatemp_exponent = params.dynatemp_exponent,
      .top_k = params.top_k,
      .top_p = params.top_p,
      .min_p = params.min_p,
      .typical_p = params.typical_p,
      .top_n_sigma = params.top_n_sigma,
      .xtc_probability = params.xtc.probability,
      .xtc_threshold = params.xtc.threshold,
      .mirostat = params.mirostat.version
  };
  for (std::size_t i = 0; i < rule.num_filters; ++i) rule.order[i] = active[i];
  return rule;
}

// The best token as a filter, for rows that are asked what they were drawn from.
FilterRule best_token_rule() {
  return {.order = {SamplerKind::top_k}, .num_filters = 1, .top_k = 1};
}

// Fills in how the row is drawn.
void set_filters(const SamplingParams& params, SamplingRow& row) {
  const std::vector<SamplerKind> active = active_samplers(params);
  const bool is_greedy = params.temperature == 0.0F && has(active, SamplerKind::temperature);
  row.is_kept = params.logprobs.num_top && params.logprobs.of == LogprobsOf::draw;
  if (is_greedy) {
    row.temperature = 0.0F;
    if (row.is_kept) row.filters = best_token_rule();
    return;
  }
  if (!is_plain(active, params) || row.is_kept) {
    row.filters = filter_rule(params, active);
    return;
  }
  row.temperature = has(active, SamplerKind::temperature) ? params.temperature : 1.0F;
  row.top_k = has(active, SamplerKind::top_k) ? params.top_k : 0;
  row.top_p = has(active, SamplerKind::top_p) ? params.top_p : 1.0F;
  row.min_p = has(active, SamplerKind::min_p) ? params.min_p : 0.0F;
}

}  // namespace

SamplingRow make_sampling_row(const SamplingParams& params, const SamplingState& state) {
  const TokenHistory history{
      .prompt_tokens = state.prompt_tokens,
      .output_tokens = state.output_tokens,
      .num_in_flight = state.num_in_flight
  };
  const TokenHistory penalised = last_tokens(history, params.penalty_last_tokens);
  const std::uint64_t position =
      state.prompt_tokens.size() + state.output_tokens.size() + state.num_in_flight;
  SamplingRow row{
      .repetition_penalty = params.repetition_penalty,
      .presence_penalty = params.presence_penalty,
      .frequency_penalty = params.frequency_penalty,
      .uniform = uniform_draw(state.seed, position),
      .logit_bias = params.logit_bias,
      .prompt_tokens = penalised.prompt_tokens,
      .output_tokens = penalised.output_tokens
  };
  set_filters(params, row);
  if (row.filters) {
    row.filters->uniform = row.uniform;
    row.filters->xtc_uniform = uniform_draw(state.seed, position, DrawPurpose::xtc);
    row.filters->mirostat_mu = state.mirostat_mu;
  }
  std::span<const std::int32_t> breakers;
  if (state.rules != nullptr) {
    row.allowed_tokens = state.rules->allowed;
    row.banned_tokens = banned_tokens(*state.rules, history);
    breakers = state.rules->dry_breakers;
  }
  row.subtracted = dry_penalties(params.dry, breakers, history);
  return row;
}

float first_mirostat_mu(const MirostatParams& params) { return 2.0F * params.tau; }

float next_mirostat_mu(const MirostatParams& params, float mu, float surprise) {
  return mu - params.eta * (surprise - params.tau);
}

}  // namespace mlxs
