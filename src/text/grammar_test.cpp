// Each kind of grammar, and what a matcher can do, in the default model's vocabulary.
#include "text/grammar.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"
#include "mlx_serving/error.h"
#include "text/testing/golden_files.h"
#include "text/testing/grammar_texts.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

using testing::accepts;
using testing::default_vocabulary;
using testing::tokenizer;

Grammar compile(GrammarKind kind, std::string text) {
  return Grammar::compile(default_vocabulary(), {.kind = kind, .text = std::move(text)});
}

Error error_of(GrammarKind kind, std::string text) {
  try {
    (void)compile(kind, std::move(text));
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::engine_error, "no error");
}

bool is_set(const std::vector<std::uint32_t>& words, std::int32_t id) {
  return ((words.at(static_cast<std::size_t>(id) / 32) >> (static_cast<unsigned>(id) % 32)) & 1U) !=
         0;
}

int num_set(const std::vector<std::uint32_t>& words) {
  int count = 0;
  for (const std::uint32_t word : words) count += std::popcount(word);
  return count;
}

TEST(GrammarTest, a_regex_matches_the_whole_output) {
  const Grammar grammar = compile(GrammarKind::regex, "[a-c]{2,3}(/x)?");
  EXPECT_TRUE(accepts(grammar, "ab"));
  EXPECT_TRUE(accepts(grammar, "abc/x"));
  EXPECT_FALSE(accepts(grammar, "a"));
  EXPECT_FALSE(accepts(grammar, "abcc"));
  EXPECT_FALSE(accepts(grammar, "ab/y"));
}

TEST(GrammarTest, anchors_around_a_regex_change_nothing) {
  const Grammar grammar = compile(GrammarKind::regex, R"(^\d{3}\$$)");
  EXPECT_TRUE(accepts(grammar, "123$"));
  EXPECT_FALSE(accepts(grammar, "123"));
}

TEST(GrammarTest, a_regex_with_look_around_is_refused) {
  EXPECT_EQ(error_of(GrammarKind::regex, "a(?=b)").code(), ErrorCode::unsupported);
  EXPECT_EQ(error_of(GrammarKind::regex, R"((a)\1)").code(), ErrorCode::unsupported);
  EXPECT_EQ(error_of(GrammarKind::regex, "^a|b$").code(), ErrorCode::unsupported);
}

TEST(GrammarTest, a_choice_is_one_of_its_strings) {
  const Grammar grammar = compile(GrammarKind::choice, R"(["yes","no","not sure","a\nb"])");
  for (const std::string_view text : {"yes", "no", "not sure", "a\nb"})
    EXPECT_TRUE(accepts(grammar, text)) << text;
  for (const std::string_view text : {"", "ye", "yesno", "not", "a b"})
    EXPECT_FALSE(accepts(grammar, text)) << text;
  EXPECT_EQ(error_of(GrammarKind::choice, "[]").code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of(GrammarKind::choice, "[1]").code(), ErrorCode::invalid_value);
}

TEST(GrammarTest, a_json_object_is_any_object) {
  const Grammar grammar = compile(GrammarKind::json_object, "");
  EXPECT_TRUE(accepts(grammar, R"({})"));
  EXPECT_TRUE(accepts(grammar, R"({"a": [1, {"b": null}], "c": "d\n\u0007"})"));
  EXPECT_TRUE(accepts(grammar, "{\n  \"a\": {\n    \"b\": 1\n  }\n}"));
  EXPECT_FALSE(accepts(grammar, R"([])"));
  EXPECT_FALSE(accepts(grammar, R"({"a": 01})"));
  EXPECT_FALSE(accepts(grammar, R"({"a": 1)"));
}

TEST(GrammarTest, blanks_in_json_are_bounded) {
  const Grammar grammar = compile(GrammarKind::json_object, "");
  EXPECT_FALSE(accepts(grammar, "{  }"));
  EXPECT_FALSE(accepts(grammar, "{\n\n}"));
  EXPECT_FALSE(accepts(grammar, "{\n" + std::string(33, ' ') + "}"));
}

TEST(GrammarTest, lark_is_compiled_under_the_same_rules_as_schemas) {
  const Grammar grammar = compile(
      GrammarKind::lark,
      "start: \"<answer>\" %json {\"type\": \"integer\"} \"</answer>\" // a comment\n"
  );
  EXPECT_TRUE(accepts(grammar, "<answer>12</answer>"));
  EXPECT_FALSE(accepts(grammar, "<answer>1.5</answer>"));
  const Error error = error_of(GrammarKind::lark, R"(start: %json {"uniqueItems": true})");
  EXPECT_EQ(error.code(), ErrorCode::unsupported);
  EXPECT_NE(std::string(error.what()).find("uniqueItems"), std::string::npos);
  EXPECT_EQ(error_of(GrammarKind::lark, "start: missing").code(), ErrorCode::invalid_value);
  EXPECT_EQ(
      error_of(GrammarKind::lark, "start: a\na[temperature=0.5]: /x+/").code(),
      ErrorCode::unsupported
  );
  EXPECT_EQ(
      error_of(GrammarKind::lark, "%llguidance {\"allow_invalid_utf8\": true}\nstart: /x/").code(),
      ErrorCode::unsupported
  );
}

TEST(GrammarTest, gbnf_is_translated) {
  const Grammar regular = compile(
      GrammarKind::gbnf,
      "root ::= greeting \" \" name # who\nname ::= [A-Z] [a-z]{2,}\n"
      "greeting ::= \"Hello\" |\n  \"Good \" (\"day\" | \"night\")\n"
  );
  EXPECT_TRUE(accepts(regular, "Hello Ada"));
  EXPECT_TRUE(accepts(regular, "Good night Bob"));
  EXPECT_FALSE(accepts(regular, "Good Bob"));
  EXPECT_FALSE(accepts(regular, "Hello ada"));
  const Grammar nested = compile(
      GrammarKind::gbnf,
      "root ::= list\nlist ::= \"[\" ws (item (\",\" ws item)*)? \"]\" ws\n"
      "item ::= list | [0-9]+ ws\nws ::= [ \\t\\n]*\n"
  );
  EXPECT_TRUE(accepts(nested, "[1, [22, [ ]], 3]"));
  EXPECT_FALSE(accepts(nested, "[1, [22, [ ], 3]"));
}

TEST(GrammarTest, gbnf_that_cannot_be_translated_is_refused_in_words) {
  const Error tokens = error_of(GrammarKind::gbnf, "root ::= <think> \"a\"");
  EXPECT_EQ(tokens.code(), ErrorCode::unsupported);
  const Error unknown = error_of(GrammarKind::gbnf, "root ::= other");
  EXPECT_EQ(unknown.code(), ErrorCode::invalid_value);
  EXPECT_NE(std::string(unknown.what()).find("other"), std::string::npos);
  EXPECT_EQ(error_of(GrammarKind::gbnf, "a ::= \"b\"").code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of(GrammarKind::gbnf, "root ::= \"b").code(), ErrorCode::invalid_value);
  EXPECT_EQ(error_of(GrammarKind::gbnf, "root ::= root").code(), ErrorCode::invalid_value);
}

TEST(GrammarTest, structural_tags_constrain_only_what_a_trigger_begins) {
  const Grammar grammar = compile(
      GrammarKind::structural_tag,
      R"({"type":"structural_tag","triggers":["<function="],"structures":[
          {"begin":"<function=add>","schema":{"type":"array","items":{"type":"integer"}},"end":"</function>"},
          {"begin":"<function=now>","schema":{"type":"object","additionalProperties":false},"end":"</function>"}]})"
  );
  EXPECT_TRUE(accepts(grammar, ""));
  EXPECT_TRUE(accepts(grammar, "No function is needed: 1 < 2.\n"));
  EXPECT_TRUE(
      accepts(grammar, "Well: <function=add>[1,2]</function> and <function=now>{}</function>.")
  );
  EXPECT_FALSE(accepts(grammar, "<function=add>{}</function>"));
  EXPECT_FALSE(accepts(grammar, "<function=sub>[1]</function>"));
  EXPECT_FALSE(accepts(grammar, "a <function=add>[1]"));
}

TEST(GrammarTest, structural_tags_know_the_special_tokens) {
  const Grammar grammar = compile(
      GrammarKind::structural_tag,
      R"({"format":{"type":"sequence","elements":[
          {"type":"const_string","value":"a<|im_start|>b"},
          {"type":"or","elements":[{"type":"regex","pattern":"[0-9]+"},{"type":"const_string","value":""}]}]}})"
  );
  const std::int32_t mark = *tokenizer().token_to_id("<|im_start|>");
  GrammarMatcher matcher = grammar.make_matcher();
  EXPECT_TRUE(matcher.advance(tokenizer().encode("a").front()));
  std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
  matcher.mask(words);
  EXPECT_EQ(num_set(words), 1);
  EXPECT_TRUE(is_set(words, mark));
  EXPECT_TRUE(matcher.advance(mark));
  EXPECT_TRUE(matcher.advance(tokenizer().encode("b").front()));
  EXPECT_TRUE(matcher.may_stop());
}

TEST(GrammarTest, the_mask_is_what_advance_takes) {
  const Grammar grammar = compile(GrammarKind::regex, "(foo|bar)[0-9]{0,4}");
  GrammarMatcher matcher = grammar.make_matcher();
  std::vector<std::uint32_t> words(default_vocabulary().num_mask_words() + 2, ~0U);
  matcher.mask(words);
  EXPECT_EQ(words.back(), 0U);
  for (std::int32_t id = 0; id < tokenizer().vocab_size(); ++id) {
    GrammarMatcher copy = matcher.clone();
    ASSERT_EQ(copy.advance(id), is_set(words, id)) << id;
  }
}

TEST(GrammarTest, a_finished_matcher_allows_the_end_alone) {
  const Grammar grammar = compile(GrammarKind::choice, R"(["yes"])");
  GrammarMatcher matcher = grammar.make_matcher();
  EXPECT_FALSE(matcher.may_stop());
  EXPECT_FALSE(matcher.advance(2)) << "the end comes too early";
  for (const std::int32_t id : tokenizer().encode("yes")) EXPECT_TRUE(matcher.advance(id));
  EXPECT_TRUE(matcher.may_stop());
  EXPECT_TRUE(matcher.is_finished());
  std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
  matcher.mask(words);
  EXPECT_EQ(num_set(words), 1);
  EXPECT_TRUE(is_set(words, 2));
  EXPECT_TRUE(matcher.advance(2));
  EXPECT_TRUE(matcher.is_finished());
  EXPECT_FALSE(matcher.advance(2));
}

TEST(GrammarTest, rollback_undoes_tokens_and_the_end) {
  const Grammar grammar = compile(GrammarKind::json_object, "");
  GrammarMatcher matcher = grammar.make_matcher();
  const std::vector<std::int32_t> ids = tokenizer().encode(R"({"key": [1, 2, 3]})");
  std::vector<std::vector<std::uint32_t>> masks;
  for (const std::int32_t id : ids) {
    masks.emplace_back(default_vocabulary().num_mask_words());
    matcher.mask(masks.back());
    ASSERT_TRUE(matcher.advance(id));
  }
  ASSERT_TRUE(matcher.advance(2));
  matcher.rollback(1 + static_cast<int>(ids.size()) - 3);
  for (std::size_t i = 3; i < ids.size(); ++i) {
    std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
    matcher.mask(words);
    EXPECT_EQ(words, masks[i]) << i;
    ASSERT_TRUE(matcher.advance(ids[i]));
  }
  EXPECT_THROW(matcher.rollback(1000), std::logic_error);
}

TEST(GrammarTest, a_refused_token_changes_nothing) {
  const Grammar grammar = compile(GrammarKind::choice, R"(["yes"])");
  GrammarMatcher matcher = grammar.make_matcher();
  EXPECT_FALSE(matcher.advance(tokenizer().encode("no").front()));
  EXPECT_FALSE(matcher.advance(-1));
  EXPECT_FALSE(matcher.advance(tokenizer().vocab_size()));
  for (const std::int32_t id : tokenizer().encode("yes")) EXPECT_TRUE(matcher.advance(id));
}

TEST(GrammarTest, forced_tokens_are_the_tokenizers_own) {
  const Grammar grammar = compile(
      GrammarKind::json_schema,
      R"({"type":"object","properties":{"temperature":{"type":"integer"}},
          "required":["temperature"],"additionalProperties":false})"
  );
  GrammarMatcher matcher = grammar.make_matcher();
  for (const std::int32_t id : tokenizer().encode("{")) ASSERT_TRUE(matcher.advance(id));
  ASSERT_TRUE(matcher.advance(tokenizer().encode("\"").front()));
  const std::vector<std::int32_t> forced = matcher.forced_tokens();
  ASSERT_FALSE(forced.empty());
  EXPECT_TRUE(std::string_view("temperature").starts_with(tokenizer().decode(forced)));
  for (const std::int32_t id : forced) EXPECT_TRUE(matcher.advance(id));
}

TEST(GrammarTest, matchers_of_one_grammar_work_on_many_threads) {
  const Grammar grammar = compile(GrammarKind::json_object, "");
  const std::vector<std::int32_t> ids = tokenizer().encode(R"({"a": "text", "b": [1.5, true]})");
  std::vector<int> num_taken(4);
  {
    std::vector<std::jthread> threads;
    for (int& count : num_taken) {
      threads.emplace_back([&] {
        GrammarMatcher matcher = grammar.make_matcher();
        std::vector<std::uint32_t> words(default_vocabulary().num_mask_words());
        for (const std::int32_t id : ids) {
          matcher.mask(words);
          count += matcher.advance(id) ? 1 : 0;
        }
      });
    }
  }
  for (const int count : num_taken) EXPECT_EQ(count, static_cast<int>(ids.size()));
}

TEST(GrammarTest, a_checked_schema_comes_with_an_instance) {
  const std::string schema =
      R"({"type":"object","properties":{"name":{"type":"string","minLength":2},"next":{"$ref":"#"},
          "kind":{"enum":["b","c"]}},"required":["name","kind"],"additionalProperties":false})";
  const json::value report = parse_json(check_schema(default_vocabulary(), schema));
  EXPECT_EQ(report.at("supported"), true);
  EXPECT_GT(report.at("compile_ms").to_number<double>(), 0.0);
  const Grammar grammar = compile(GrammarKind::json_schema, schema);
  EXPECT_TRUE(accepts(grammar, json::serialize(report.at("example")))) << report.at("example");
  const json::value refused =
      parse_json(check_schema(default_vocabulary(), R"({"type":"array","contains":{}})"));
  EXPECT_EQ(refused.at("supported"), false);
  EXPECT_EQ(refused.at("error_kind"), "unsupported");
  EXPECT_NE(testing::to_text(refused.at("error")).find("contains"), std::string::npos);
}

TEST(GrammarTest, a_vocabulary_needs_sound_end_tokens) {
  EXPECT_THROW(GrammarVocabulary(tokenizer(), {}), Error);
  const std::vector<std::int32_t> beyond = {tokenizer().vocab_size()};
  EXPECT_THROW(GrammarVocabulary(tokenizer(), beyond), Error);
}

}  // namespace
}  // namespace mlxs
