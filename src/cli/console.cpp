// Colours, escaping and the one form of error lines.
#include "cli/console.h"

#include <unistd.h>

#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/settings.h"

namespace mlxs {

Console process_console(const Environment& environment) {
  const bool is_out_terminal = isatty(STDOUT_FILENO) == 1;
  const bool is_plain = !environment("NO_COLOR").value_or("").empty() ||
                        environment("TERM").value_or("dumb") == "dumb";
  return {
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .is_in_terminal = isatty(STDIN_FILENO) == 1,
      .is_out_terminal = is_out_terminal,
      .is_err_terminal = isatty(STDERR_FILENO) == 1,
      .has_colour = is_out_terminal && !is_plain
  };
}

std::string styled(const Console& console, TextStyle style, std::string_view text) {
  if (!console.has_colour) return std::string(text);
  const std::string_view code = style == TextStyle::bold  ? "\x1b[1m"
                                : style == TextStyle::dim ? "\x1b[2m"
                                                          : "\x1b[1;36m";
  return std::string(code) + std::string(text) + "\x1b[0m";
}

std::string answer_text(const Console& console, std::string_view text) {
  if (!console.is_out_terminal) return std::string(text);
  std::string result;
  while (true) {
    const std::size_t newline = text.find('\n');
    result += escape_control(text.substr(0, newline));
    if (newline == std::string_view::npos) return result;
    result += '\n';
    text.remove_prefix(newline + 1);
  }
}

void write_error(std::ostream& err, std::string_view message) {
  err << "mlx-serving: error: " << escape_control(message) << '\n' << std::flush;
}

}  // namespace mlxs
