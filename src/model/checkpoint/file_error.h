// How checkpoint errors are worded: the file first, then what is wrong. Text from a file is quoted,
// escaped and cut.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <string_view>
#include <utility>

#include "mlx_serving/error.h"

namespace mlxs {

// RETURNS: `text` in quotes for a message: printable ASCII, at most 80 bytes of it.
[[nodiscard]] std::string quote_for_message(std::string_view text);

template <typename... Args>
[[nodiscard]] Error invalid_model(
    std::string_view file, fmt::format_string<Args...> form, Args&&... args
) {
  return Error(
      ErrorCode::invalid_model,
      fmt::format("{}: {}", file, fmt::format(form, std::forward<Args>(args)...))
  );
}

template <typename... Args>
[[nodiscard]] Error unsupported_model(
    std::string_view file, fmt::format_string<Args...> form, Args&&... args
) {
  return Error(
      ErrorCode::unsupported_model,
      fmt::format("{}: {}", file, fmt::format(form, std::forward<Args>(args)...))
  );
}

}  // namespace mlxs
