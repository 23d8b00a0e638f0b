// A model's output as a client sees it: reasoning, then text and tool calls, while the output
// comes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/output_delta.h"
#include "text/reasoning_parser/reasoning_parser.h"
#include "text/tokenizer.h"
#include "text/tool_parser/tool_parser.h"

namespace mlxs {

struct OutputParserOptions {
  // `other_ends` is set from the tools' format, so that calls within unfinished reasoning are not
  // lost.
  ReasoningOptions reasoning = {};
  ToolParserOptions tools = {};
};

// However an output is cut into pieces, the joined deltas are the same.
// Thread safety: none.
class OutputParser {
 public:
  explicit OutputParser(OutputParserOptions options);

  // Takes the text of one token. RETURNS: what it completes; may be empty.
  [[nodiscard]] OutputDelta append(std::string_view token_text);

  // RETURNS: what was held back. Nothing may be appended afterwards.
  [[nodiscard]] OutputDelta finish();

  [[nodiscard]] const ReasoningParser& reasoning() const { return reasoning_; }
  [[nodiscard]] int num_calls() const { return tools_.num_calls(); }

 private:
  ReasoningParser reasoning_;
  ToolParser tools_;
};

// RETURNS: the special tokens that the parser of these options waits for; a detokenizer has to
// write them (DecodeOptions::written_special_ids).
[[nodiscard]] std::vector<std::int32_t> special_ids_in_output(
    const Tokenizer& tokenizer, const OutputParserOptions& options
);

}  // namespace mlxs
