// What one more piece of a model's output comes to, once reasoning, text and tool calls are told
// apart.
#pragma once

#include <string>
#include <vector>

#include "mlx_serving/event.h"

namespace mlxs {

struct OutputDelta {
  std::string reasoning = {};
  std::string text = {};
  std::vector<ToolCallDelta> tool_calls = {};

  [[nodiscard]] bool is_empty() const {
    return reasoning.empty() && text.empty() && tool_calls.empty();
  }

  // Adds a later delta to this one; pieces of one call become one piece.
  void append(const OutputDelta& later);

  friend bool operator==(const OutputDelta&, const OutputDelta&) = default;
};

}  // namespace mlxs
