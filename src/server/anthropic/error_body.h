// Anthropic's form of a fault.
#pragma once

#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mlxs {

// RETURNS: {"type": "error", "error": {"type", "message"}, "request_id"}.
[[nodiscard]] std::string render_anthropic_fault(
    const HttpFault& fault, std::string_view request_id
);

inline constexpr Dialect kAnthropicDialect{
    render_anthropic_fault, "request-id", KeyField::bearer_or_api_key
};

}  // namespace mlxs
