#include "base/json.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

std::string error_of(std::string_view text) {
  try {
    (void)parse_json(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request);
    return error.what();
  }
  return "";
}

TEST(Json, KeepsOrderAndExactIntegers) {
  const auto value =
      parse_json(R"({"b":18446744073709551615,"a":-9223372036854775808,"c":[1.5,true,null,"x"]})");
  EXPECT_EQ(json::serialize(value.at("c")), R"([1.5E0,true,null,"x"])");
  EXPECT_EQ(value.at("b").as_uint64(), 18446744073709551615U);
  EXPECT_EQ(value.at("a").as_int64(), INT64_MIN);
  EXPECT_EQ(value.as_object().begin()->key(), "b");
}

TEST(Json, DoublesAreCorrectlyRounded) {
  for (const char* text :
       {"0.1",
        "0.7",
        "1e23",
        "123456789.123456789",
        "2.2250738585072014e-308",
        "1.7976931348623157e308"}) {
    EXPECT_EQ(parse_json(text).as_double(), std::strtod(text, nullptr)) << text;
  }
}

TEST(Json, NamesADuplicateKeyAtAnyDepth) {
  EXPECT_NE(error_of(R"({"a":1,"a":2})").find(R"(duplicate key "a")"), std::string::npos);
  EXPECT_NE(
      error_of(R"([{"x":{"key":1,"\u006bey":2}}])").find(R"(duplicate key "key")"),
      std::string::npos
  );
  EXPECT_NE(error_of(R"({"":1,"":2})").find("duplicate key"), std::string::npos);
  EXPECT_EQ(error_of(R"({"a":{"b":1},"b":{"a":1}})"), "");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text :
       {"",
        "{",
        "[1,]",
        "{'a':1}",
        "nul",
        "1 2",
        "// c\n1",
        "NaN",
        "\"\x80\"",
        "\"\xed\xa0\x80\"",
        "1e999",
        "\"\n\""}) {
    EXPECT_NE(error_of(text).find("invalid JSON"), std::string::npos) << text;
  }
}

TEST(Json, LimitsNesting) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(error_of(nested(128)), "");
  EXPECT_NE(error_of(nested(129)).find("nested too deeply"), std::string::npos);
  EXPECT_NE(error_of(nested(1000000)).find("nested too deeply"), std::string::npos);
}

TEST(Json, LimitsBytes) {
  EXPECT_THROW((void)parse_json("[1,2,3]", JsonLimits{.max_bytes = 6}), Error);
}

TEST(Json, QuotesText) { EXPECT_EQ(json_quote("a\"\n\x01"), R"("a\"\n\u0001")"); }

}  // namespace
}  // namespace mlxs
