// The fields that ask for log probabilities, in OpenAI's and vLLM's forms.
#pragma once

#include "mlx_serving/sampling.h"
#include "server/door/logprob_json.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// How the tokens of a reply are told.
struct TokenReply {
  bool has_logprobs = false;         // with each choice
  bool has_prompt_logprobs = false;  // prompt_logprobs
  bool has_token_ids = false;        // token_ids and prompt_token_ids
  bool is_echo = false;              // completions: the prompt is part of the text
  TokenNames names = TokenNames::text;
};

// Chat's logprobs: true with top_logprobs. ERRORS: Error with the path.
void read_chat_logprobs(FieldReader& fields, LogprobParams& logprobs);

// Completions' logprobs: N. ERRORS: as above.
void read_completion_logprobs(FieldReader& fields, LogprobParams& logprobs);

// What vLLM has beside: prompt_logprobs, logprob_token_ids, return_token_ids,
// return_tokens_as_token_ids; and logprobs_mode, which is an argument of its server. To be called
// after one of the above. ERRORS: as above.
[[nodiscard]] TokenReply read_token_reply(
    FieldReader& fields, int vocab_size, LogprobParams& logprobs
);

}  // namespace mlxs
