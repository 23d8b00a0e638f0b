// Ollama's form of a fault.
#pragma once

#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mlxs {

// RETURNS: {"error": message}.
[[nodiscard]] std::string render_ollama_fault(const HttpFault& fault, std::string_view request_id);

inline constexpr Dialect kOllamaDialect{render_ollama_fault};

}  // namespace mlxs
