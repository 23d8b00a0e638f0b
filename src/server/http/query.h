// The query of a request's target.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mlxs {

// RETURNS: the value of the first `name=value` of "a=b&c=d", percent-decoded, with "+" as a space;
// empty for a name without "="; nothing where it is not there. ERRORS: HttpError 400 for a
// malformed escape.
[[nodiscard]] std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace mlxs
