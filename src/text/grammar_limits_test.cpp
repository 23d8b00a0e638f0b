// What a schema or grammar must not do: be passed over in silence, or take the process along.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"
#include "text/grammar.h"
#include "text/testing/grammar_texts.h"

namespace mlxs {
namespace {

using testing::default_vocabulary;

std::string repeat(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// RETURNS: the error's code, and its message in `message`; engine_error when there is none.
ErrorCode refuse(GrammarKind kind, const std::string& text, std::string& message) {
  try {
    (void)Grammar::compile(default_vocabulary(), {.kind = kind, .text = text});
  } catch (const Error& error) {
    message = error.what();
    return error.code();
  }
  message = "compiled";
  return ErrorCode::engine_error;
}

TEST(GrammarLimitsTest, unsupported_keywords_are_named) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
      {R"({"not":{"type":"string"}})", "not"},
      {R"({"if":{},"then":{}})", "if"},
      {R"({"type":"array","contains":{"type":"string"}})", "contains"},
      {R"({"type":"object","propertyNames":{"maxLength":3}})", "propertyNames"},
      {R"({"type":"object","dependentRequired":{"a":["b"]}})", "dependentRequired"},
      {R"({"type":"object","unevaluatedProperties":false})", "unevaluatedProperties"},
      {R"({"type":"string","minlength":3})", "minlength"},
      {R"({"type":"string","nullable":true})", "nullable"},
      {R"({"$dynamicRef":"#a"})", "$dynamicRef"},
      {R"({"x-guidance":{"lenient":true}})", "x-guidance"},
      {R"({"type":"string","format":"iri"})", "iri"},
      {R"({"properties":{"a":{"properties":{"b":{"uniqueItems":true}}}}})",
       "#/properties/a/properties/b"},
      {R"({"$ref":"https://example.org/schema"})", "https://example.org/schema"},
      {R"({"$schema":"https://example.org/draft"})", "$schema"},
      {R"({"const":9007199254740993})", "2^53"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "oneOf"},
      {R"x({"type":"string","pattern":"a(?!b)"})x", "look-around"},
  };
  for (const auto& [schema, named] : cases) {
    std::string message;
    const ErrorCode code = refuse(GrammarKind::json_schema, schema, message);
    EXPECT_EQ(code, ErrorCode::unsupported) << schema << ": " << message;
    EXPECT_NE(message.find(named), std::string::npos) << schema << ": " << message;
  }
}

TEST(GrammarLimitsTest, malformed_schemas_are_refused) {
  for (const std::string schema :
       {"",
        "[]",
        "1",
        "{",
        R"({"type":"text"})",
        R"({"enum":[]})",
        R"({"anyOf":[]})",
        "false",
        R"({"properties":[]})",
        R"({"required":"a"})",
        R"({"minLength":-1})",
        R"({"maximum":"1"})",
        R"({"multipleOf":0})",
        R"({"$ref":"#/$defs/none"})",
        R"({"$ref":"#"})",
        R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})",
        R"({"anyOf":[{"$ref":"#"}]})",
        R"({"type":"string","pattern":"("})",
        R"({"type":"string","minLength":3,"maxLength":2})",
        R"({"type":"object","required":["a"],"additionalProperties":false})"}) {
    std::string message;
    EXPECT_EQ(refuse(GrammarKind::json_schema, schema, message), ErrorCode::invalid_value)
        << schema << ": " << message;
  }
}

TEST(GrammarLimitsTest, hostile_schemas_end_in_an_error) {
  std::string enumeration = R"({"enum":[0)";
  for (int i = 1; i < 100'000; ++i) enumeration += ',' + std::to_string(i);
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 10'000; ++i)
    chain += "\"d" + std::to_string(i) + R"(":{"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"},";
  chain += R"("d10000":{}}})";
  std::string patterns = R"({"patternProperties":{"a":{})";
  for (int i = 0; i < 100; ++i) patterns += ",\"^b" + std::to_string(i) + "\":{}";
  const std::vector<std::string> hostile = {
      repeat(R"({"items":)", 30'000) + "{}" + repeat("}", 30'000),
      repeat(R"({"anyOf":[)", 100) + "{}" + repeat("]}", 100),
      enumeration + "]}",
      chain,
      patterns + "}}",
      R"({"const":)" + repeat("[", 100) + repeat("]", 100) + '}',
      R"({"type":"string","pattern":")" + repeat("(", 30'000) + repeat(")", 30'000) + "\"}",
  };
  for (const std::string& schema : hostile) {
    std::string message;
    EXPECT_EQ(refuse(GrammarKind::json_schema, schema, message), ErrorCode::invalid_value)
        << schema.substr(0, 60) << ": " << message;
  }
}

TEST(GrammarLimitsTest, hostile_grammars_end_in_an_error) {
  std::string rules = "start: r0\n";
  for (int i = 0; i < 8'000; ++i)
    rules += 'r' + std::to_string(i) + ": r" + std::to_string(i + 1) + '\n';
  const std::vector<std::pair<GrammarKind, std::string>> hostile = {
      {GrammarKind::regex, repeat("(", 10'000)},
      {GrammarKind::regex, repeat("(", 200) + "a" + repeat(")", 200)},
      {GrammarKind::regex, std::string(20'000, 'a')},
      {GrammarKind::lark, "start: " + repeat("(", 30'000) + "\"a\"" + repeat(")", 30'000)},
      {GrammarKind::lark, "start: " + repeat("[", 200) + "\"a\"" + repeat("]", 200)},
      {GrammarKind::lark, rules},
      {GrammarKind::lark, "start: \"a\" %json"},
      {GrammarKind::gbnf, "root ::= " + repeat("(", 30'000)},
      {GrammarKind::gbnf, "root ::= \"a\"{100000}"},
      {GrammarKind::choice, '[' + repeat("\"a\",", 3'000) + "\"b\"]"},
      {GrammarKind::structural_tag, repeat(R"({"format":)", 200) + "1" + repeat("}", 200)},
      {GrammarKind::structural_tag, "{}"},
  };
  for (const auto& [kind, text] : hostile) {
    std::string message;
    EXPECT_EQ(refuse(kind, text, message), ErrorCode::invalid_value)
        << text.substr(0, 60) << ": " << message;
  }
}

TEST(GrammarLimitsTest, what_only_looks_large_is_no_trouble) {
  std::string blow_up = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 30; ++i) {
    const std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
    blow_up += "\"d" + std::to_string(i) + R"(":{"allOf":[)" + next + ',' + next + "]},";
  }
  blow_up += R"("d30":{"type":"object","properties":{"a":{"type":"integer"}}}}})";
  for (const std::string& schema :
       {blow_up,
        std::string(R"({"type":"string","pattern":"(a{1,1000}){1,1000}b"})"),
        std::string(R"({"type":"string","maxLength":1000000})"),
        std::string(R"({"type":"array","maxItems":1000000})"),
        std::string(R"({"type":"string","minLength":100000})"),
        std::string(R"({"type":"array","minItems":5000})"),
        std::string(R"({"type":"string","pattern":"(a+)+b"})"),
        std::string(R"({"type":"string","pattern":"^[a-z]{1,5000}$"})")}) {
    const Grammar grammar =
        Grammar::compile(default_vocabulary(), {.kind = GrammarKind::json_schema, .text = schema});
    GrammarMatcher matcher = grammar.make_matcher();
    std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
    EXPECT_NO_THROW(matcher.mask(words)) << schema.substr(0, 60);
  }
}

}  // namespace
}  // namespace mlxs
