// Set-up of spdlog: levels, the line's form, escaping.
#include "base/log.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cstddef>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/json.h"
#include "base/log_fields.h"

namespace mlxs {
namespace {

constexpr const char* kLogName = "mlx_serving";

// %* of the pattern below: the message, escaped.
class EscapedMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out)
      override {
    const std::string text =
        escape_control(std::string_view(message.payload.data(), message.payload.size()));
    out.append(text.data(), text.data() + text.size());
  }

  [[nodiscard]] std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<EscapedMessage>();
  }
};

// %* of the pattern for JSON: the message and its fields, without the brace that the line begins
// with.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out)
      override {
    const std::string text =
        json::serialize(log_fields(std::string_view(message.payload.data(), message.payload.size()))
        );
    out.append(text.data() + 1, text.data() + text.size());
  }

  [[nodiscard]] std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

std::unique_ptr<spdlog::formatter> formatter_of(LogForm form) {
  if (form == LogForm::json) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<JsonMessage>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%*)"
    );
    return formatter;
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<EscapedMessage>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %*");
  return formatter;
}

// The levels are cast into spdlog's in the header.
static_assert(static_cast<int>(LogLevel::trace) == SPDLOG_LEVEL_TRACE);
static_assert(static_cast<int>(LogLevel::debug) == SPDLOG_LEVEL_DEBUG);
static_assert(static_cast<int>(LogLevel::info) == SPDLOG_LEVEL_INFO);
static_assert(static_cast<int>(LogLevel::warning) == SPDLOG_LEVEL_WARN);
static_assert(static_cast<int>(LogLevel::error) == SPDLOG_LEVEL_ERROR);

}  // namespace

LogLevel log_level_from_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, LogLevel>, 6> kNames = {{
      {"trace", LogLevel::trace},
      {"debug", LogLevel::debug},
      {"info", LogLevel::info},
      {"warning", LogLevel::warning},
      {"error", LogLevel::error},
      {"off", LogLevel::off},
  }};
  for (const auto& [known, level] : kNames) {
    if (known == name) return level;
  }
  throw std::logic_error("no log level is called " + std::string(name));
}

std::string escape_control(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = static_cast<unsigned char>(text[i]);
    const bool has_next = i + 1 < text.size();
    const auto next = has_next ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (code == '\n') {
      result += "\\n";
    } else if (code == '\r') {
      result += "\\r";
    } else if ((code < 0x20 && code != '\t') || code == 0x7F) {
      result += fmt::format("\\x{:02x}", code);
    } else if (code == 0xC2 && next >= 0x80 && next <= 0x9F) {
      result += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::shared_ptr<spdlog::logger> make_log(spdlog::sink_ptr sink, LogLevel level, LogForm form) {
  auto log = std::make_shared<spdlog::logger>(kLogName, std::move(sink));
  log->set_formatter(formatter_of(form));
  log->set_level(
      level == LogLevel::off ? spdlog::level::off : static_cast<spdlog::level::level_enum>(level)
  );
  log->flush_on(spdlog::level::trace);
  return log;
}

void install_log(LogLevel level, LogColour colour, LogForm form) {
  const auto mode =
      colour == LogColour::always ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto log = make_log(std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(mode), level, form);
  spdlog::drop(kLogName);
  spdlog::register_logger(std::move(log));
}

std::shared_ptr<spdlog::logger> installed_log() { return spdlog::get(kLogName); }

}  // namespace mlxs
