// A request of the API, translated: what the engine is asked and what the reply must look like.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_serving/output.h"
#include "mlx_serving/request.h"
#include "server/door/logprob_fields.h"
#include "server/openai/api_model.h"
#include "server/openai/field_reader.h"

namespace mlxs {

struct ReplyOptions {
  bool is_stream = false;
  bool explain_cache = false;  // the usage says why no more of the prompt was cached
  bool include_usage = false;  // in a stream: a last chunk with the usage
  bool include_reasoning = true;
  TokenReply tokens;
};

// The fields that chat and completions have in common.
struct CommonFields {
  std::string model;
  SamplingParams sampling;
  std::optional<int> truncate_prompt_tokens;
  StopParams stop;
  SchedulingParams scheduling;
  PrefixCacheParams prefix_cache;
  std::optional<Constraint> constraint;
  std::size_t num_choices = 1;  // per prompt
  ReplyOptions reply;
};

struct Call {
  std::string model;              // as the client named it
  std::vector<Request> requests;  // one a prompt
  std::size_t num_choices = 1;    // per prompt
  ReplyOptions reply;
};

// Reads and checks the common fields. ERRORS: as FieldReader; model_not_found; unsupported.
[[nodiscard]] CommonFields read_common_fields(FieldReader& fields, const ApiModel& model);

// Reads vLLM's fields about the tokens of a reply, after the endpoint's own logprobs. ERRORS: Error
// with the path: what is not told in a stream, for one.
void read_tokens_of_reply(FieldReader& fields, const ApiModel& model, CommonFields& common);

// RETURNS: the call with a request for each prompt.
[[nodiscard]] Call make_call(CommonFields fields, const std::vector<Prompt>& prompts);

// The bodies of the two endpoints. ERRORS: Error with the path of the field; nothing else, whatever
// `body` holds.
[[nodiscard]] Call parse_chat_call(std::string_view body, const ApiModel& model);
[[nodiscard]] Call parse_completion_call(std::string_view body, const ApiModel& model);

}  // namespace mlxs
