// llama-server's form of a fault.
#pragma once

#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mlxs {

// RETURNS: {"error": {"code": the status, "message", "type"}}.
[[nodiscard]] std::string render_llama_fault(const HttpFault& fault, std::string_view request_id);

inline constexpr Dialect kLlamaDialect{render_llama_fault};

}  // namespace mlxs
