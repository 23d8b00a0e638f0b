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
  "typical_p":{"type":"number","exclusiveMinimum":0,"maximum":1},
  "top_n_sigma":{"type":"number","minimum":-1,"maximum":100},
  "xtc_probability":{"type":"number","minimum":0,"maximum":1},
  "xtc_threshold":{"type":"number","minimum":0,"maximum":1},
  "dynatemp_range":{"type":"number","minimum":0,"maximum":2},
  "dynatemp_exponent":{"type":"number","minimum":0,"maximum":10},
  "mirostat":{"type":"integer","minimum":0,"maximum":2},
  "mirostat_tau":{"type":"number","minimum":0,"maximum":100},
  "mirostat_eta":{"type":"number","minimum":0,"maximum":1},
  "repeat_last_n":{"type":"integer","minimum":-1},
  "dry_multiplier":{"type":"number","minimum":0,"maximum":100},
  "dry_base":{"type":"number","minimum":1,"maximum":100},
  "dry_allowed_length":{"type":"integer","minimum":1},
  "dry_penalty_last_n":{"type":"integer","minimum":-1},
  "dry_sequence_breakers":{"type":"array","items":{"type":"string"}},
  "samplers":{"type":"array","items":{"type":"string"}},
  "allowed_token_ids":{"type":"array","items":{"type":"integer"}},
  "bad_words":{"type":"array","items":{"type":"string"}},
  "min_tokens":{"type":"integer","minimum":0},
  "include_stop_str_in_output":{"type":"boolean"},
  "truncate_prompt_tokens":{"type":"integer","minimum":-1},
  "prompt_logprobs":{"type":"integer","minimum":0,"maximum":20},
  "logprob_token_ids":{"type":"array","items":{"type":"integer"}},
  "logprobs_mode":{"enum":["raw_logprobs","processed_logprobs"]},
  "return_token_ids":{"type":"boolean"},
  "return_tokens_as_token_ids":{"type":"boolean"},
  "seed":{"type":"integer"},
  "n":{"type":"integer","minimum":1,"maximum":8},
  "max_tokens":{"type":"integer","minimum":1},
  "stop":{"type":["string","array"],"items":{"type":"string"}},
  "stop_token_ids":{"type":"array","items":{"type":"integer"}},
  "response_format":{"type":"object","required":["type"],"properties":{
    "type":{"enum":["text","json_object","json_schema","structural_tag"]}}},
  "structured_outputs":{"type":"object","properties":{"json":{"type":["object","string"]},
    "regex":{"type":"string"},"choice":{"type":"array","items":{"type":"string"}},
    "grammar":{"type":"string"},"json_object":{"type":"boolean"},
    "structural_tag":{"type":["object","string"]}}},
  "stream":{"type":"boolean"},
  "stream_options":{"type":"object","properties":{"include_usage":{"type":"boolean"}}}}},
"ModelName":{"type":"object","required":["model"],"properties":{"model":{"type":"string"}}},
"Message":{"type":"object","required":["role"],"properties":{
  "role":{"type":"string"},"content":{"type":["string","array","null"]},
  "tool_calls":{"type":"array"},"tool_call_id":{"type":"string"}}},
"ChatRequest":{"allOf":[{"$ref":"#/components/schemas/Sampling"},{"type":"object",
  "required":["messages"],"properties":{"model":{"type":"string"},
  "messages":{"type":"array","minItems":1,"items":{"$ref":"#/components/schemas/Message"}},
  "max_completion_tokens":{"type":"integer","minimum":1},
  "logprobs":{"type":"boolean"},"top_logprobs":{"type":"integer","minimum":0,"maximum":20},
  "tools":{"type":"array"},"tool_choice":{"type":["string","object"]},
  "parallel_tool_calls":{"type":"boolean"},
  "thinking_token_budget":{"type":"integer","minimum":0},"include_reasoning":{"type":"boolean"},
  "add_generation_prompt":{"type":"boolean"},
  "chat_template_kwargs":{"type":"object"}}}]},
"CompletionRequest":{"allOf":[{"$ref":"#/components/schemas/Sampling"},{"type":"object",
  "required":["model","prompt"],"properties":{"model":{"type":"string"},
  "prompt":{"type":["string","array"]},"echo":{"type":"boolean"},"suffix":{"type":"string"},
  "logprobs":{"type":"integer","minimum":0,"maximum":20}}}]},
"EmbeddingRequest":{"type":"object","required":["model","input"],"properties":{
  "model":{"type":"string"},"input":{"type":["string","array"]},
  "encoding_format":{"enum":["float","base64"]},"dimensions":{"type":"integer","minimum":1},
  "truncate_prompt_tokens":{"type":"integer","minimum":-1},"priority":{"type":"integer"},
  "user":{"type":"string"}}},
"LlamaEmbeddingRequest":{"type":"object","properties":{"content":{"type":["string","array"]},
  "input":{"type":["string","array"]},"embd_normalize":{"type":"integer"}}},
"OllamaEmbedRequest":{"type":"object","required":["model","input"],"properties":{
  "model":{"type":"string"},"input":{"type":["string","array"]},"truncate":{"type":"boolean"},
  "dimensions":{"type":"integer","minimum":1}}},
"RerankRequest":{"type":"object","required":["model","query","documents"],"properties":{
  "model":{"type":"string"},"query":{"type":"string"},"instruction":{"type":"string"},
  "documents":{"type":"array","minItems":1},"top_n":{"type":"integer","minimum":1},
  "return_documents":{"type":"boolean"}}},
"SchemaCheckRequest":{"type":"object","required":["schema"],"properties":{
  "model":{"type":"string"},"schema":{"type":["object","string","boolean"]}}},
"EstimateRequest":{"anyOf":[{"$ref":"#/components/schemas/ChatRequest"},
  {"type":"object","required":["prompt"],"properties":{"prompt":{"type":["string","array"]}}}]},
"ResponseRequest":{"type":"object","required":["model","input"],"properties":{
  "model":{"type":"string"},"input":{"type":["string","array"]},
  "instructions":{"type":["string","null"]},
  "max_output_tokens":{"type":["integer","null"],"minimum":1},
  "temperature":{"type":["number","null"],"minimum":0,"maximum":2},
  "top_p":{"type":["number","null"],"minimum":0,"maximum":1},
  "top_logprobs":{"type":["integer","null"],"minimum":0,"maximum":20},
  "include":{"type":["array","null"],"items":{"type":"string"}},
  "metadata":{"type":["object","null"],"additionalProperties":{"type":"string"}},
  "previous_response_id":{"type":["string","null"]},
  "store":{"type":["boolean","null"]},"background":{"type":["boolean","null"]},
  "tools":{"type":["array","null"]},"tool_choice":{"type":["string","object","null"]},
  "text":{"type":["object","null"]},"stream":{"type":["boolean","null"]}}},
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
  "typical_p":{"type":"number"},"top_n_sigma":{"type":"number"},
  "xtc_probability":{"type":"number"},"xtc_threshold":{"type":"number"},
  "dynatemp_range":{"type":"number"},"dynatemp_exponent":{"type":"number"},
  "mirostat":{"type":"integer"},"mirostat_tau":{"type":"number"},"mirostat_eta":{"type":"number"},
  "repeat_last_n":{"type":"integer"},"dry_multiplier":{"type":"number"},
  "dry_base":{"type":"number"},"dry_allowed_length":{"type":"integer"},
  "dry_penalty_last_n":{"type":"integer"},"dry_sequence_breakers":{"type":"array"},
  "samplers":{"type":"array"},"n_probs":{"type":"integer","minimum":0,"maximum":128},
  "post_sampling_probs":{"type":"boolean"},
  "stop":{"type":["string","array"]},"ignore_eos":{"type":"boolean"},
  "json_schema":{"type":["object","string"]},"grammar":{"type":"string"},
  "logit_bias":{"type":"array"},"return_tokens":{"type":"boolean"},"stream":{"type":"boolean"}}},
"OllamaChatRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"},"messages":{"type":"array"},"options":{"type":"object"},
  "format":{"type":["string","object"]},"tools":{"type":"array"},"think":{"type":"boolean"},
  "stream":{"type":"boolean","default":true}}},
"OllamaGenerateRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"},"prompt":{"type":"string"},"system":{"type":"string"},
  "raw":{"type":"boolean"},"options":{"type":"object"},
  "format":{"type":["string","object"]},"think":{"type":"boolean"},
  "stream":{"type":"boolean","default":true}}},
"OllamaShowRequest":{"type":"object","required":["model"],"properties":{
  "model":{"type":"string"}}},
"MessagesCountRequest":{"type":"object","required":["model","messages"],"properties":{
  "model":{"type":"string"},"system":{"type":["string","array"]},"tools":{"type":"array"},
  "tool_choice":{"type":"object"},"thinking":{"type":"object"},
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
