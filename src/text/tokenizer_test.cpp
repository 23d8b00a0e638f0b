// What Tokenizer refuses, and its small promises; what it gives is checked in
// tokenizer_golden_test.cpp.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>
#include <utility>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

GgufVocabulary small_vocabulary() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens = {"<s>", "a", "b", "ab", "\u0120", "\u0120ab"};
  vocabulary.token_types = {3, 1, 1, 1, 1, 1};
  vocabulary.merges = {"a b", "\u0120 ab"};
  vocabulary.bos_id = 0;
  return vocabulary;
}

GgufVocabulary small_sentencepiece() {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {"<unk>", "<s>", "\u2581", "a", "\u2581a", "<0x41>"};
  vocabulary.scores = {0, 0, -3, -4, -1, 0};
  vocabulary.token_types = {2, 3, 1, 1, 1, 6};
  vocabulary.bos_id = 1;
  return vocabulary;
}

void expect_refused(const GgufVocabulary& vocabulary, ErrorCode code, const std::string& part) {
  try {
    (void)Tokenizer::from_vocabulary(vocabulary);
    FAIL() << "accepted; expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

template <typename Change>
void expect_change_refused(
    GgufVocabulary vocabulary, Change change, ErrorCode code, const std::string& part
) {
  change(vocabulary);
  expect_refused(vocabulary, code, part);
}

TEST(TokenizerTest, encodes_and_decodes_a_small_vocabulary) {
  const auto tokenizer = Tokenizer::from_vocabulary(small_vocabulary());
  EXPECT_EQ(tokenizer.encode("ab ab<s>"), (std::vector<std::int32_t>{3, 5, 0}));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{3, 5, 0, 99, -1}), "ab ab");
  EXPECT_EQ(tokenizer.vocab_size(), 6);
  EXPECT_EQ(tokenizer.token_to_id("ab"), 3);
  EXPECT_EQ(tokenizer.token_to_id("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer.id_to_bytes(5), " ab");
  EXPECT_EQ(tokenizer.id_to_bytes(6), "");
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(1));
  EXPECT_FALSE(tokenizer.is_known(-1));
}

TEST(TokenizerTest, special_tokens_in_text_are_parsed_only_when_asked_to) {
  const auto tokenizer = Tokenizer::from_vocabulary(small_vocabulary());
  EXPECT_EQ(tokenizer.encode("<s>a"), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(
      tokenizer.encode("<s>a", {.special_tokens = SpecialTokensInText::as_text}),
      (std::vector<std::int32_t>{1})
  );
}

TEST(TokenizerTest, adds_what_the_file_says_around_a_text) {
  GgufVocabulary vocabulary = small_vocabulary();
  constexpr EncodeOptions kAdd = {.add_special_tokens = AddSpecialTokens::yes};
  EXPECT_EQ(
      Tokenizer::from_vocabulary(vocabulary).encode("a", kAdd), (std::vector<std::int32_t>{1})
  );
  vocabulary.add_bos = true;
  vocabulary.add_eos = true;
  vocabulary.eos_id = 2;
  EXPECT_EQ(
      Tokenizer::from_vocabulary(vocabulary).encode("a", kAdd), (std::vector<std::int32_t>{0, 1, 2})
  );
  // SentencePiece models begin with bos unless the file denies it.
  EXPECT_EQ(
      Tokenizer::from_vocabulary(small_sentencepiece()).encode("a", kAdd),
      (std::vector<std::int32_t>{1, 4})
  );
}

TEST(TokenizerTest, refuses_an_unknown_pre_tokenizer_by_name_and_lists_the_known) {
  constexpr auto kCode = ErrorCode::unsupported_model;
  const auto with_pre = [](const char* pre) { return [=](GgufVocabulary& v) { v.pre = pre; }; };
  expect_change_refused(
      small_vocabulary(),
      with_pre("gpt-99"),
      kCode,
      "'gpt-99' is not known; known are: default, gpt-2"
  );
  expect_change_refused(small_vocabulary(), with_pre(""), kCode, "no tokenizer.ggml.pre");
}

TEST(TokenizerTest, refuses_kinds_it_does_not_have) {
  constexpr auto kCode = ErrorCode::unsupported_model;
  expect_change_refused(small_vocabulary(), [](auto& v) { v.model = "bert"; }, kCode, "'bert'");
  expect_change_refused(
      small_sentencepiece(), [](auto& v) { v.precompiled_charsmap = {1}; }, kCode, "normalizer"
  );
  expect_change_refused(
      small_sentencepiece(), [](auto& v) { v.remove_extra_whitespaces = true; }, kCode, "normalizer"
  );
}

TEST(TokenizerTest, refuses_inconsistent_vocabularies) {
  constexpr auto kCode = ErrorCode::invalid_model;
  expect_change_refused(
      small_vocabulary(), [](auto& v) { v.tokens.clear(); }, kCode, "tokens has 0"
  );
  expect_change_refused(
      small_vocabulary(), [](auto& v) { v.merges.clear(); }, kCode, "merges is missing"
  );
  expect_change_refused(
      small_vocabulary(), [](auto& v) { v.merges[0] = "ab"; }, kCode, "not a pair"
  );
  expect_change_refused(small_vocabulary(), [](auto& v) { v.merges[0] = "a zz"; }, kCode, "merges");
  expect_change_refused(
      small_vocabulary(), [](auto& v) { v.tokens[1] = "\xFF"; }, kCode, "tokens[1]"
  );
  expect_change_refused(small_vocabulary(), [](auto& v) { v.bos_id = 6; }, kCode, "bos_token_id");
  expect_change_refused(
      small_vocabulary(), [](auto& v) { v.token_types.pop_back(); }, kCode, "token_type has 5"
  );
  expect_change_refused(
      small_sentencepiece(), [](auto& v) { v.scores.clear(); }, kCode, "scores is missing"
  );
  const std::string long_token(100'000, 'x');
  expect_change_refused(
      small_sentencepiece(), [&](auto& v) { v.tokens[3] = long_token; }, kCode, "too long"
  );
}

TEST(TokenizerTest, survives_any_tokenizer_json) {
  const std::string deep(100'000, '[');
  const std::string model = R"("model":{"type":"BPE","vocab":{"a":0},"merges":[]})";
  const std::string cases[] = {
      "",
      "null",
      "[]",
      deep,
      "\xFF",
      R"({"model":)" + deep,
      R"({"version":"1.0","model":{"type":"BPE","vocab":{"a":4294967295},"merges":[]},"decoder":{"type":"ByteLevel"}})",
      R"({"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":["b c"]},"decoder":{"type":"ByteLevel"}})",
      R"({"version":"1.0",)" + model + "}",
      R"({"version":"1.0","decoder":{"type":"WordPiece","prefix":"##","cleanup":true},)" + model +
          "}",
      R"({"version":"1.0","decoder":{"type":"ByteLevel"},"added_tokens":[{"id":-1,"content":"x"}],)" +
          model + "}",
      R"({"version":"1.0","decoder":{"type":"ByteLevel"},"normalizer":{"type":"Replace","pattern":{"Regex":"("},"content":""},)" +
          model + "}",
  };
  for (const std::string& text : cases) {
    try {
      (void)Tokenizer::from_json(text);
      ADD_FAILURE() << "accepted: " << text.substr(0, 100);
    } catch (const Error& error) {
      EXPECT_TRUE(
          error.code() == ErrorCode::invalid_model || error.code() == ErrorCode::unsupported_model
      ) << error.what();
    }
  }
}

TEST(TokenizerTest, refuses_text_that_is_not_utf8) {
  const auto tokenizer = Tokenizer::from_vocabulary(small_vocabulary());
  try {
    (void)tokenizer.encode("a\xFF");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request);
  }
}

TEST(TokenizerTest, may_be_moved_and_shared) {
  auto first = Tokenizer::from_vocabulary(small_vocabulary());
  const Tokenizer tokenizer = std::move(first);
  std::vector<std::thread> threads;
  std::vector<int> num_wrong(4);
  for (int& wrong : num_wrong) {
    threads.emplace_back([&tokenizer, &wrong] {
      for (int i = 0; i < 500; ++i)
        wrong += tokenizer.encode("ab ab" + std::string(i % 7U, 'a')).front() != 3;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace mlxs
