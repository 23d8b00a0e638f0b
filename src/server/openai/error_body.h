// OpenAI's form of a fault.
#pragma once

#include <string>

#include "server/http/message.h"

namespace mlxs {

// RETURNS: {"error": {"message", "type", "param", "code"}}.
[[nodiscard]] std::string render_openai_fault(const HttpFault& fault);

}  // namespace mlxs
