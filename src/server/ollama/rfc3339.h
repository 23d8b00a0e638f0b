// Times as Ollama writes them.
#pragma once

#include <chrono>
#include <string>

namespace mlxs {

// RETURNS: UTC with microseconds: "2024-01-31T12:00:00.123456Z".
[[nodiscard]] std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace mlxs
