// Lines of a conversation: edited on a terminal, with history and UTF-8, or read one by one from a
// pipe or file.
#pragma once

#include <memory>
#include <string>

#include "cli/console.h"

namespace mlxs {

struct Line {
  enum class Kind { text, interrupted, end };
  Kind kind = Kind::end;
  std::string text;  // without its newline
};

// Thread safety: one thread at a time.
class LineSource {
 public:
  LineSource() = default;
  virtual ~LineSource() = default;
  LineSource(const LineSource&) = delete;
  LineSource& operator=(const LineSource&) = delete;

  // Waits for a line; a prompt is shown on a terminal only.
  [[nodiscard]] virtual Line read() = 0;
};

// RETURNS: an editor on the process's terminal where the console's input and output are terminals,
// else the plain
//   lines of the console's `in`. The history lives as long as the source; nothing is written to
//   disk.
[[nodiscard]] std::unique_ptr<LineSource> make_line_source(Console& console);

}  // namespace mlxs
