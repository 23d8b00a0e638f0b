// What a request wants of its output's form: a constraint on the text, tools to call, reasoning
// told apart. Plain data.
#pragma once

#include <optional>
#include <string>

namespace mlxs {

// How the text of a constraint is written.
enum class ConstraintKind {
  json_schema,     // a JSON schema
  json_object,     // any JSON object; the text is empty
  regex,           // a regular expression that the whole output matches
  choice,          // a JSON list of strings, of which the output is one
  lark,            // llguidance's Lark
  structural_tag,  // tagged parts within free text, in vLLM's JSON
  gbnf,            // llama.cpp's
};

// What every output must be. An output that ends by itself fulfils it; one that ends by max_tokens
// or a stop string is the beginning of one that does.
struct Constraint {
  ConstraintKind kind = ConstraintKind::json_object;
  std::string text = {};
  std::string param = {};  // the caller's name of it, for errors; empty: "constraint"
};

enum class ToolChoice {
  none,       // the tools are not shown to the model, and nothing is taken for a call
  automatic,  // the model may call
  required,   // it answers with calls and nothing else
};

// For conversations with ChatPrompt::tools_json.
struct ToolParams {
  ToolChoice choice = ToolChoice::automatic;
  std::string name = {};    // the only tool that may be called; empty: any of them
  bool is_parallel = true;  // false: at most one call
};

// For conversations with a model that thinks before it answers.
struct ReasoningParams {
  // Tokens of the reasoning at most; it is then ended with the model's own mark. At least 0; none:
  // no limit.
  std::optional<int> max_tokens = {};
};

}  // namespace mlxs
