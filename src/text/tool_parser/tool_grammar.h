// Grammars that make a model call tools as a request demands.
#pragma once

#include <optional>
#include <span>

#include "text/grammar.h"
#include "text/tool_parser/tool_format.h"

namespace mlxs {

enum class ToolNeed {
  when_called,  // free text, but calls are sound (tool_choice "auto" with strict tools)
  required,     // nothing but calls (tool_choice "required"; a named tool: give that one only)
};

enum class ParallelCalls { no, yes };

struct ToolDemand {
  ToolNeed need = ToolNeed::required;
  ParallelCalls parallel = ParallelCalls::yes;
};

// RETURNS: the grammar, for Grammar::compile(); nothing for when_called in a format whose calls
// have no mark by which text could be told from them. REQUIRES: at least one function. ERRORS:
// invalid_value for parameters that are no JSON schema. What a schema's keywords are worth,
// compile() tells.
[[nodiscard]] std::optional<GrammarSpec> make_tool_grammar(
    const ToolFormat& format, std::span<const ToolFunction> functions, const ToolDemand& demand
);

}  // namespace mlxs
