// Tells the tool calls in a model's output from its text, while the output comes. What is no sound
// call stays text; of a call that breaks off in its arguments, the rest is text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/output_delta.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {

struct ToolParserOptions {
  const ToolFormat* format = nullptr;   // null: everything is text
  std::vector<std::string> names = {};  // the tools that may be called; empty: any name
  std::uint64_t id_seed = 0;            // makes the calls' ids; take a random one for each output
};

// However an output is cut into pieces, the joined deltas are the same.
// Thread safety: none.
class ToolParser {
 public:
  explicit ToolParser(ToolParserOptions options);
  ToolParser(ToolParser&&) noexcept;
  ToolParser& operator=(ToolParser&&) noexcept;
  ~ToolParser();

  // RETURNS: what `text` completes; may be empty.
  [[nodiscard]] OutputDelta append(std::string_view text);

  // RETURNS: what was held back. Nothing may be appended afterwards.
  [[nodiscard]] OutputDelta finish();

  [[nodiscard]] int num_calls() const;

 private:
  struct Run;
  std::unique_ptr<Run> run_;
};

}  // namespace mlxs
