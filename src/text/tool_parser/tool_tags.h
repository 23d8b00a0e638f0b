// Structural tags for one call, in the ways that several formats share. Each gives a `tag` in JSON.
#pragma once

#include <string>
#include <string_view>

#include "text/tool_parser/tool_format.h"

namespace mlxs {

// What is around a call's arguments. `begin` is the text before the arguments' schema, `end` that
// after.
struct TagFrame {
  std::string begin = {};
  std::string end = {};
};

// A call whose arguments are JSON by the function's schema.
[[nodiscard]] std::string json_call_tag(const ToolFunction& function, const TagFrame& frame);

// A call `name(key=value, ...)` whose values are JSON by the schemas of the function's properties.
[[nodiscard]] std::string python_call_tag(const ToolFunction& function);

}  // namespace mlxs
