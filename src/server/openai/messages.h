// Checks the conversation of a chat request and brings it into the form that chat templates expect.
#pragma once

#include <string>

#include "server/openai/field_reader.h"

namespace mlxs {

// RETURNS: `messages` as JSON text. Members that are null are left out, except an assistant's
// content; the role
//   developer becomes system, and the arguments of tool calls become objects.
// ERRORS: Error with the path: invalid_request, invalid_value, unsupported for parts other than
// text.
[[nodiscard]] std::string normalize_messages(const json::array& messages, const std::string& path);

// RETURNS: `tools` as JSON text. ERRORS: Error with the path.
[[nodiscard]] std::string normalize_tools(const json::array& tools, const std::string& path);

}  // namespace mlxs
