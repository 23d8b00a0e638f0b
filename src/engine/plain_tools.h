// Tools for models whose chat template knows none: told in a message of the system, in the words of
// Hermes' models.
#pragma once

#include "mlx_serving/request.h"

namespace mlxs {

// RETURNS: the conversation without tools_json, tool calls and messages of the role "tool": they
// became text. The same where there are none.
// ERRORS: invalid_request for JSON that is malformed or of the wrong shape.
[[nodiscard]] ChatPrompt add_plain_tools(const ChatPrompt& prompt);

}  // namespace mlxs
