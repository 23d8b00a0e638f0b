// What a caller asks of an engine. Plain data; every door fills it in and the engine checks it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {

// A conversation for the model's chat template. JSON is the template's own input, so it is passed
// on as it is.
struct ChatPrompt {
  std::string messages_json = {};  // array of objects with `role` and `content`, as in OpenAI's API
  std::string tools_json = {};     // array; empty: none
  std::string template_kwargs_json = {};  // object of further template variables; empty: none
  bool add_generation_prompt = true;
};

// Text (special tokens in it are recognised, and the model's beginning token is added), token ids
// (taken as they are), or a conversation.
using Prompt = std::variant<std::string, std::vector<std::int32_t>, ChatPrompt>;

struct Request {
  Prompt prompt = {};
  SamplingParams sampling = {};
  StopParams stop = {};
  std::string label = {};  // the caller's id for the logs; opaque
};

}  // namespace mlxs
