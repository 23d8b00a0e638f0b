// Finds the end of a request's head in raw bytes, stricter than HTTP parsers are: everything that
// two parsers could read differently is refused here. It does not look at the meaning of any field.
#pragma once

#include <cstddef>
#include <string_view>

namespace mlxs {

enum class HeadState { incomplete, complete, malformed };

struct HeadScan {
  HeadState state = HeadState::incomplete;
  std::size_t num_bytes = 0;  // of the complete head, the empty line included
  std::string_view problem;   // of the malformed head
};

// Looks at `bytes`, of which the first `num_scanned` were incomplete before.
// Malformed are: a line that does not end in CRLF, CR or NUL elsewhere, a line that starts with a
// blank (a folded field) and an empty first line.
[[nodiscard]] HeadScan scan_head(std::string_view bytes, std::size_t num_scanned);

}  // namespace mlxs
