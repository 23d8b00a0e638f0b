// One pass over the bytes, a byte of look-back and one of look-ahead.
#include "server/http/head_scan.h"

#include <cstddef>
#include <string_view>

namespace mlxs {
namespace {

HeadScan malformed(std::string_view problem) { return {HeadState::malformed, 0, problem}; }

bool ends_line(std::string_view bytes, std::size_t end) {
  return end >= 2 && bytes[end - 1] == '\n' && bytes[end - 2] == '\r';
}

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t num_scanned) {
  // The last byte of an earlier scan may have been a CR whose LF was still to come.
  for (std::size_t i = num_scanned == 0 ? 0 : num_scanned - 1; i < bytes.size(); ++i) {
    const char c = bytes[i];
    const bool starts_line = i == 0 || ends_line(bytes, i);
    if (c == '\0') return malformed("a NUL byte in the head");
    if (c == '\n' && (i == 0 || bytes[i - 1] != '\r'))
      return malformed("a line that does not end in CRLF");
    if (starts_line && (c == ' ' || c == '\t')) return malformed("a folded header field");
    if (c != '\r') continue;
    if (i + 1 == bytes.size()) return {};
    if (bytes[i + 1] != '\n') return malformed("a CR without LF in the head");
    if (!starts_line) continue;
    if (i == 0) return malformed("an empty line before the request");
    return {HeadState::complete, i + 2, {}};
  }
  return {};
}

}  // namespace mlxs
