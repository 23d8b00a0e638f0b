// From a request's parameters to a row.
#include "sampling/sampling_batch.h"

#include <cstdint>

#include "mlx_serving/sampling.h"
#include "sampling/philox.h"

namespace mlxs {

SamplingRow make_sampling_row(const SamplingParams& params, const SamplingState& state) {
  const std::uint64_t position =
      state.prompt_tokens.size() + state.output_tokens.size() + state.num_in_flight;
  return SamplingRow{
      .temperature = params.temperature,
      .top_k = params.top_k,
      .top_p = params.top_p,
      .min_p = params.min_p,
      .repetition_penalty = params.repetition_penalty,
      .presence_penalty = params.presence_penalty,
      .frequency_penalty = params.frequency_penalty,
      .uniform = uniform_draw(state.seed, position),
      .logit_bias = params.logit_bias,
      .prompt_tokens = state.prompt_tokens,
      .output_tokens = state.output_tokens
  };
}

}  // namespace mlxs
