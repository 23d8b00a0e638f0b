// The ranges of what a request says about sampling.
#pragma once

#include "mlx_serving/engine.h"
#include "mlx_serving/request.h"

namespace mlxs {

// ERRORS: invalid_value, naming the field and the range.
void check_sampling(const SamplingParams& params, const ModelInfo& model);

// That the lengths of prompt and output are possible together. ERRORS: as above.
void check_lengths(const Request& request);

}  // namespace mlxs
