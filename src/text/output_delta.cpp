// Joining deltas.
#include "text/output_delta.h"

namespace mlxs {

void OutputDelta::append(const OutputDelta& later) {
  reasoning += later.reasoning;
  text += later.text;
  for (const ToolCallDelta& piece : later.tool_calls) {
    if (!tool_calls.empty() && tool_calls.back().index == piece.index) {
      tool_calls.back().arguments += piece.arguments;
    } else {
      tool_calls.push_back(piece);
    }
  }
}

}  // namespace mlxs
