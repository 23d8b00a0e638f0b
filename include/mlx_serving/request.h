// What a caller asks of an engine. Plain data; every door fills it in and the engine checks it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "mlx_serving/output.h"
#include "mlx_serving/sampling.h"

namespace mlxs {

// A conversation for the model's chat template. JSON is the template's own input, so it is passed
// on as it is.
struct ChatPrompt {
  std::string messages_json = {};  // array of objects with `role` and `content`, as in OpenAI's API
  std::string tools_json = {};     // array; empty: none
  std::string template_kwargs_json = {};  // object of further template variables; empty: none
  bool add_generation_prompt = true;
  std::string prefill = {};  // what the answer begins with, which is not part of the output
};

// Text (special tokens in it are recognised, and the model's beginning token is added), token ids
// (taken as they are), or a conversation.
using Prompt = std::variant<std::string, std::vector<std::int32_t>, ChatPrompt>;

// How hidden states of a prompt, after the final norm, become its embedding.
enum class Pooling : std::uint8_t { last, mean };

// How a request stands to the others.
struct SchedulingParams {
  int priority = 0;         // larger is more urgent; [-1000, 1000]
  std::string key = {};     // whose share of the device it uses; empty is a key like any other
  double key_weight = 0.0;  // of that key's share, above 0; 0: as EngineConfig::key_weights has it
  // From submission: the first token, or the last one, must be there; none: no limit. What cannot
  // make it is refused at once, and what misses it ends with deadline_exceeded. Positive.
  std::optional<std::chrono::milliseconds> ttft_deadline = {};
  std::optional<std::chrono::milliseconds> deadline = {};
};

struct PrefixCacheParams {
  bool is_enabled = true;  // false: takes nothing from the prefix cache and leaves nothing in it
  // Only requests of an equal salt share cached prompts; at most 64 bytes; empty: the common one.
  std::string salt = {};
};

struct Request {
  Prompt prompt = {};
  // Only so many last tokens of the prompt are run; -1: as many as the context has room for.
  std::optional<int> truncate_prompt_tokens = {};
  // Set: nothing is generated; the last event has the embedding, which is not normalised.
  std::optional<Pooling> pooling = {};
  bool returns_prompt = false;  // Event::prompt_ids is filled in
  SamplingParams sampling = {};
  StopParams stop = {};
  SchedulingParams scheduling = {};
  PrefixCacheParams prefix_cache = {};
  // What the answer is; a model's reasoning before it is free.
  std::optional<Constraint> constraint = {};
  ToolParams tools = {};
  ReasoningParams reasoning = {};
  std::string label = {};  // the caller's id for the logs; opaque
  // Whose request it is in the metrics, the name of an API key; empty: nobody's. It is told to
  // whoever reads the metrics, so it must not be a secret.
  std::string account = {};
  std::string traceparent = {};  // the caller's W3C trace context; empty or malformed: none
};

}  // namespace mlxs
