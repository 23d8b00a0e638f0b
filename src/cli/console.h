// The terminal or pipes that a command talks to. Commands write through this and never to the
// process's streams, so that tests run them in process.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "base/settings.h"

namespace mlxs {

struct Console {
  std::istream& in;
  std::ostream& out;  // answers and results only
  std::ostream& err;  // everything else
  bool is_in_terminal = false;
  bool is_out_terminal = false;
  bool is_err_terminal = false;
  bool has_colour = false;  // on `out`
};

enum class TextStyle { bold, dim, prompt };

// RETURNS: a console on the process's streams. Colours are on where stdout is a terminal that is
// not "dumb" and
//   NO_COLOR is not set (https://no-color.org).
[[nodiscard]] Console process_console(const Environment& environment);

// RETURNS: `text` in `style`, or as it is where the console has no colours.
[[nodiscard]] std::string styled(const Console& console, TextStyle style, std::string_view text);

// RETURNS: `text` fit for `out`: on a terminal, control characters but newline and tab are escaped,
// so that a model's
//   answer cannot drive it.
[[nodiscard]] std::string answer_text(const Console& console, std::string_view text);

// Writes "mlx-serving: error: MESSAGE" as exactly one line.
void write_error(std::ostream& err, std::string_view message);

}  // namespace mlxs
