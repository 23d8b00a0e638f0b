// The fields of tools that OpenAI's chat and responses have in common, and what an answer's tool
// calls look like in chat's form.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "mlx_serving/output.h"
#include "server/openai/field_reader.h"

namespace mlxs {

// tool_choice and parallel_tool_calls. A named function is {"type": "function", "function":
// {"name"}} in chat, and {"type": "function", "name"} in responses; both are taken. ERRORS: Error
// with the path; unsupported for choices of another type.
[[nodiscard]] ToolParams read_tool_params(FieldReader& fields);

// Adds a piece of calls to what came of them before: whole calls, in order.
void add_tool_calls(const std::vector<ToolCallDelta>& pieces, std::vector<ToolCallDelta>& calls);

// RETURNS: chat's `tool_calls` of a whole message.
[[nodiscard]] json::array tool_call_array(const std::vector<ToolCallDelta>& calls);

// RETURNS: chat's `tool_calls` of a chunk.
[[nodiscard]] json::array tool_call_deltas(const std::vector<ToolCallDelta>& pieces);

// RETURNS: a call's arguments; nothing where it broke off within them.
[[nodiscard]] std::optional<json::object> arguments_object(const ToolCallDelta& call);

}  // namespace mlxs
