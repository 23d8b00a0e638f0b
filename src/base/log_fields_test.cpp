// What of a line becomes a field, and the line that comes of it.
#include "base/log_fields.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>

#include "base/json.h"
#include "base/log.h"

namespace mlxs {
namespace {

TEST(LogFields, NamedValuesLeaveTheMessage) {
  const json::object fields =
      log_fields("request id=req_1 path=\"/v1/chat a=b\" status=200 ms=1.5 neg=-3 empty= x");
  EXPECT_EQ(fields.at("message"), "request x");
  EXPECT_EQ(fields.at("id"), "req_1");
  EXPECT_EQ(fields.at("path"), "/v1/chat a=b");
  EXPECT_EQ(fields.at("status"), 200);
  EXPECT_EQ(fields.at("ms"), 1.5);
  EXPECT_EQ(fields.at("neg"), -3);
  EXPECT_EQ(fields.at("empty"), "");
  EXPECT_FALSE(fields.contains("a"));
}

TEST(LogFields, NothingElseIsAField) {
  EXPECT_EQ(log_fields("a=b").at("message"), "a=b");
  EXPECT_EQ(log_fields("x A=b =c -d=e").at("message"), "x A=b =c -d=e");
  EXPECT_EQ(log_fields("x time=5 level=6").size(), 1U);
  EXPECT_EQ(log_fields("x message=5").at("message"), "x");
  EXPECT_EQ(log_fields("x a=1 a=2").at("a"), 1);
  EXPECT_EQ(log_fields("x a=\"open").at("a"), "open");
  EXPECT_EQ(log_fields("bad \xC3 byte").at("message"), "bad ? byte");
  EXPECT_EQ(log_fields("").at("message"), "");
}

TEST(LogFields, AJsonLogIsAnObjectALine) {
  std::ostringstream out;
  const auto log = make_log(
      std::make_shared<spdlog::sinks::ostream_sink_mt>(out), LogLevel::info, LogForm::json
  );
  log->info("from \"{}\" id=7", "client\nforged line");
  const json::value line = parse_json(out.str());
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("message"), "from \"client\nforged line\"");
  EXPECT_EQ(line.at("id"), 7);
  EXPECT_EQ(line.at("time").as_string().size(), 24U);
  EXPECT_EQ(out.str().find('\n'), out.str().size() - 1);
}

}  // namespace
}  // namespace mlxs
