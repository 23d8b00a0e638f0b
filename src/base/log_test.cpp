// The log's lines: levels, escaping, and silence until a log is installed.
#include "base/log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace mlxs {
namespace {

TEST(EscapeControl, LeavesTextAndEscapesTheRest) {
  EXPECT_EQ(
      escape_control("plain \t text, \xC3\xA9\xF0\x9F\x98\x80"),
      "plain \t text, \xC3\xA9\xF0\x9F\x98\x80"
  );
  EXPECT_EQ(escape_control("a\nb\rc\x1b[31m\x7f"), "a\\nb\\rc\\x1b[31m\\x7f");
  EXPECT_EQ(escape_control("\xC2\x9B"), "\\u009b");
  EXPECT_EQ(escape_control("\xC2\xA9\xC2"), "\xC2\xA9\xC2");
  EXPECT_EQ(escape_control(std::string_view("\0", 1)), "\\x00");
}

TEST(Log, OneLinePerMessageFromItsLevelOn) {
  std::ostringstream out;
  const auto log = make_log(std::make_shared<spdlog::sinks::ostream_sink_mt>(out), LogLevel::info);
  log->debug("hidden");
  log->info("from {}", "client\nforged line");
  log->error("bad");
  const std::regex expected(
      R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info from client\\nforged line\n.{23} error bad\n)"
  );
  EXPECT_TRUE(std::regex_match(out.str(), expected)) << out.str();
}

TEST(Log, OffWritesNothing) {
  std::ostringstream out;
  make_log(std::make_shared<spdlog::sinks::ostream_sink_mt>(out), LogLevel::off)
      ->critical("hidden");
  EXPECT_EQ(out.str(), "");
}

TEST(Log, SilentUntilInstalled) {
  ASSERT_EQ(installed_log(), nullptr);
  testing::internal::CaptureStderr();
  log_error("nobody listens");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");

  install_log(LogLevel::warning, LogColour::never);
  testing::internal::CaptureStderr();
  log_info("below the level");
  log_warning("seen {}", 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("warning seen 1\n"), std::string::npos);
}

TEST(Log, LevelNames) {
  EXPECT_EQ(log_level_from_name("warning"), LogLevel::warning);
  EXPECT_EQ(log_level_from_name("off"), LogLevel::off);
  EXPECT_THROW((void)log_level_from_name("loud"), std::logic_error);
}

}  // namespace
}  // namespace mlxs
