// OpenAI's form of a fault.
#pragma once

#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mlxs {

// RETURNS: {"error": {"message", "type", "param", "code"}}.
[[nodiscard]] std::string render_openai_fault(const HttpFault& fault);

// RETURNS: `text` with U+FFFD in place of what is not UTF-8, for messages that repeat what came in.
[[nodiscard]] std::string valid_utf8(std::string_view text);

inline constexpr Dialect kOpenaiDialect{
    [](const HttpFault& fault, std::string_view) { return render_openai_fault(fault); }, {}
};

}  // namespace mlxs
