// A line of the log as JSON: its message, and the fields that stand in it as ` name=value`.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace mlxs {

// RETURNS: {"message": ..., and each field}: numbers as numbers, the rest as text, a value in
// quotes without them. What is no UTF-8 is replaced. A name that stands twice keeps its first
// value, and none may be called as what a line has anyway: time, level, message.
[[nodiscard]] json::object log_fields(std::string_view line);

}  // namespace mlxs
