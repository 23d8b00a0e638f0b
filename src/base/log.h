// The project's log: a thin set-up of spdlog. The library never prints; a program that wants to see
// what happens installs a log once, before it starts threads. Until then, every call below does
// nothing. Request bodies and secrets do not belong here.
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace mlxs {

enum class LogLevel { trace, debug, info, warning, error, off };
enum class LogColour { never, always };
enum class LogForm {
  text,  // "2026-01-31 12:00:00.000 info message"
  json,  // {"time": "2026-01-31T12:00:00.000Z", "level": "info", "message": ..., and fields}
};

// RETURNS: the level of the setting log_level ("warning"). ERRORS: std::logic_error for another
// word.
[[nodiscard]] LogLevel log_level_from_name(std::string_view name);

// RETURNS: `text` with control characters (C0 but tab, DEL, C1 in UTF-8) as \n, \x1b and so on, so
// that what a client
//   sends cannot forge a line of a log or drive a terminal.
[[nodiscard]] std::string escape_control(std::string_view text);

// RETURNS: a logger that writes to `sink`, one line per message.
[[nodiscard]] std::shared_ptr<spdlog::logger> make_log(
    spdlog::sink_ptr sink, LogLevel level, LogForm form = LogForm::text
);

// Installs the log of the process, on stderr. Replaces an earlier one. THREADS: none may be
// logging.
void install_log(LogLevel level, LogColour colour, LogForm form = LogForm::text);

// RETURNS: the installed log, or null. The registry behind it is spdlog's own.
[[nodiscard]] std::shared_ptr<spdlog::logger> installed_log();

template <typename... Args>
void write_log(LogLevel level, fmt::format_string<Args...> form, Args&&... args) {
  if (const auto log = installed_log()) {
    log->log(static_cast<spdlog::level::level_enum>(level), form, std::forward<Args>(args)...);
  }
}

template <typename... Args>
void log_debug(fmt::format_string<Args...> form, Args&&... args) {
  write_log(LogLevel::debug, form, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> form, Args&&... args) {
  write_log(LogLevel::info, form, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> form, Args&&... args) {
  write_log(LogLevel::warning, form, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(fmt::format_string<Args...> form, Args&&... args) {
  write_log(LogLevel::error, form, std::forward<Args>(args)...);
}

}  // namespace mlxs
