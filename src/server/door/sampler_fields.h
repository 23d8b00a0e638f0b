// The samplers and rules that vLLM and llama-server have beyond OpenAI's, by their names, for every
// door that takes them.
#pragma once

#include <optional>

#include "base/json.h"
#include "mlx_serving/request.h"
#include "mlx_serving/sampling.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// typical_p, top_n_sigma, xtc_*, dynatemp_*, mirostat*, repeat_last_n, dry_* and samplers, into
// what `sampling` holds. To be called after the penalties were read. ERRORS: Error with the path.
void read_llama_samplers(FieldReader& fields, SamplingParams& sampling);

// Of these only what Ollama's options have: typical_p, mirostat*, repeat_last_n. ERRORS: as above.
void read_ollama_samplers(FieldReader& options, SamplingParams& sampling);

// min_tokens, allowed_token_ids, bad_words, include_stop_str_in_output. ERRORS: as above.
void read_token_rules(
    FieldReader& fields, int vocab_size, SamplingParams& sampling, StopParams& stop
);

// RETURNS: truncate_prompt_tokens. ERRORS: as above; unsupported for a truncation_side right.
[[nodiscard]] std::optional<int> read_truncation(FieldReader& fields);

// RETURNS: the names of the samplers in their order, as llama-server writes them.
[[nodiscard]] json::array sampler_names(const SamplingParams& sampling);

}  // namespace mlxs
