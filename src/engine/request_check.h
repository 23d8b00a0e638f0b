// Whether a request can be run at all: every range of SamplingParams and StopParams, in one place
// for all doors.
#pragma once

#include <span>

#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"

namespace mlxs {

// ERRORS: invalid_value with the field's name in param().
void check_request(const Request& request, const ModelInfo& model);

// RETURNS: the length in tokens at which the sequence ends at the latest.
// ERRORS: context_length_exceeded where prompt and max_tokens do not fit; invalid_value for an
// empty prompt or an
//   id outside of the vocabulary.
[[nodiscard]] int check_prompt(
    std::span<const std::int32_t> prompt_ids, const StopParams& stop, const ModelInfo& model
);

}  // namespace mlxs
