// Bodies of requests and errors. The readers of the bodies are the last word on ranges; here are
// the members and their types.
#include <string_view>

#include "server/openapi/descriptions.h"

namespace mlxs {
namespace {

constexpr std::string_view kSchemas = R"({
"Sampling":{"type":"object","properties":{
  "temperature":{"type":"number","minimum":0,"maximum":2},
  "top_p":{"type":"number","minimum":0,"maximum":1},
  "top_k":{"type":"integer","minimum":-1},
  "min_p":{"type":"number","minimum":0,"maximum":1},
  "repetition_penalty":{"type":"number","exclusiveMinimum":0,"maximum":2},
  "presence_penalty":{"type":"number","minimum":-2,"maximum":2},
  "frequency_penalty":{"type":"number","minimum":-2,"maximum":2},
  "logit_bias":{"type":"object","additionalProperties":{"type":"number"}},
  "seed":{"type":"integer"},
  "n":{"type":"integer","minimum":1,"maximum":8},
  "max_tokens":{"type":"integer","minimum":1},
  "stop":{"type":["string","array"],"items":{"type":"string"}},
  "stop_token_ids":{"type":"array","items":{"type":"integer"}},
  "stream":{"type":"boolean"},
  "stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}}}},
"ModelName":{"type":"object","required":["model"],"properties":{"model":{"type":"string"}}},
"Message":{"type":"object","required":["role","content"],"properties":{
  "role":{"type":"string"},"content":{"type":["string","array"]}}},
"ChatRequest":{"allOf":[{"$ref":"#/components/schemas/Sampling"},{"type":"object",
  "required":["messages"],"properties":{"model":{"type":"string"},
  "messages":{"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/Message"}},
  "max_completion_tokens":{"type":"integer","minimum":1},
  "tools":{"type":"array"},"add_generation_prompt":{"type":"boolean"},
  "chat_template_kwargs":{"type":"object"}}}]},
"CompletionRequest":{"allOf":[{"$ref":"#/components/schemas/Sampling"},{"type":"object",
  "required":["model","prompt"],"properties":{"model":{"type":"string"},
  "prompt":{"type":["string","array"]}}}]},
"EstimateRequest":{"anyOf":[{"$ref":"#/components/schemas/ChatRequest"},
  {"type":"object","required":["prompt"],"properties":{"prompt":{"type":["string","array"]}}}]},
"ResponseRequest":{"type":"object","required":["model","input"],"properties":{
  "model":{"type":"string"},"input":{"type":["string","array"]},
  "instructions":{"type":["string","null"]},
  "max_output_tokens":{"type":["integer","null"],"minimum":1},
  "temperature":{"type":["number","null"],"minimum":0,"maximum":2},
  "top_p":{"type":["number","null"],"minimum":0,"maximum":1},
  "metadata":{"type":["object","null"],"additionalProperties":{"type":"string"}},
  "previous_response_id":{"type":["string","null"]},
  "store":{"type":["boolean","null"]},"background":{"type":["boolean","null"]},
  "stream":{"type":["boolean","null"]}}},
"TokenizeRequest":{"type":"object","properties":{"model":{"type":"string"},
  "prompt":{"type":"string"},"messages":{"type":"array"},"add_special_tokens":{"type":"boolean"},
  "return_token_strs":{"type":"boolean"},"content":{"type":"string"},
  "add_special":{"type":"boolean"},"parse_special":{"type":"boolean"},
  "with_pieces":{"type":"boolean"}}},
"DetokenizeRequest":{"type":"object","required":["tokens"],"properties":{
  "model":{"type":"string"},"tokens":{"type":"array","items":{"type":"integer"}}}},
"LlamaCompletionRequest":{"type":"object","required":["prompt"],"properties":{
  "prompt":{"type":["string","array"]},"n_predict":{"type":"integer","minimum":-1},
  "temperature":{"type":"number"},"top_k":{"type":"integer"},"top_p":{"type":"number"},
  "min_p":{"type":"number"},"repeat_penalty":{"type":"number"},"seed":{"type":"integer"},
  "stop":{"type":["string","array"]},"ignore_eos":{"type":"boolean"},
  "logit_bias":{"type":"array"},"return_tokens":{"type":"boolean"},"stream":{"type":"boolean"}}},
"OllamaChatRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"},"messages":{"type":"array"},"options":{"type":"object"},
  "stream":{"type":"boolean","default":true}}},
"OllamaGenerateRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"},"prompt":{"type":"string"},"system":{"type":"string"},
  "raw":{"type":"boolean"},"options":{"type":"object"},
  "stream":{"type":"boolean","default":true}}},
"OllamaShowRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"}}},
"MessagesCountRequest":{"type":"object","required":["model","messages"],"properties":{
  "model":{"type":"string"},"system":{"type":["string","array"]},
  "messages":{"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/Message"}}}},
"MessagesRequest":{"allOf":[{"$ref":"#/components/schemas/MessagesCountRequest"},{"type":"object",
  "required":["max_tokens"],"properties":{"max_tokens":{"type":"integer","minimum":1},
  "temperature":{"type":"number","minimum":0,"maximum":1},
  "top_p":{"type":"number"},"top_k":{"type":"integer"},
  "stop_sequences":{"type":"array","items":{"type":"string"}},"stream":{"type":"boolean"}}}]},
"Error":{"type":"object","required":["error"],"properties":{"error":{"type":["object","string"]}}}
})";

}  // namespace

std::string_view openapi_schemas() { return kSchemas; }

}  // namespace mlxs
