// From a configuration's RoPE fields to frequencies: the one place that knows the scalings.
// Formulas are those of Transformers, evaluated in double and rounded once.
#pragma once

#include <optional>
#include <string>

#include "model/model_config.h"
#include "model/model_spec.h"

namespace mlxs {

// What a scaling takes from the rest of the configuration.
struct RopeContext {
  std::string where;  // the file, for messages
  int head_dim = 0;
  double theta = 10000.0;              // unless the parameters have their own
  double partial_rotary_factor = 1.0;  // unless the parameters have their own
  int context_length = 0;              // max_position_embeddings, tokens
  // from the configuration's top; goes before the parameters' own
  std::optional<int> original_context;
};

inline constexpr NumberRange kThetaRange{1.0001, 1e12};
inline constexpr NumberRange kPartialRotaryRange{1e-3, 1.0};

// `parameters` is rope_scaling, rope_parameters or one layer type's part of it; nothing means no
// scaling. Types: default, linear, llama3, yarn, longrope ("su" is its older name), and
// llama3_factors, which is ours: divisors of each frequency as a GGUF file carries them. RETURNS:
// frequencies for the first int(head_dim * partial_rotary_factor) dimensions. ERRORS:
// unsupported_model naming any other type; invalid_model for a field that is missing, of a wrong
// type or out of
//   range, for factors of a wrong number and for an odd number of rotated dimensions.
// THREADS: any.
[[nodiscard]] RopeSpec make_rope(
    const std::optional<ConfigReader>& parameters, const RopeContext& context
);

// RETURNS: the tokens that the scaling reaches: for yarn factor * original context where that is
// more; elsewhere
//   context_length, which configurations already state as extended.
[[nodiscard]] int scaled_context_length(
    const std::optional<ConfigReader>& parameters, const RopeContext& context
);

}  // namespace mlxs
