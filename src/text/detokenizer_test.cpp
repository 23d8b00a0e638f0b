// The front of a text; that streams equal whole texts for real vocabularies is in
// tokenizer_golden_test.cpp.
#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

namespace mlxs {
namespace {

Tokenizer sentencepiece(bool adds_space_prefix) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = {
      "<unk>",
      "<s>",
      "\u2581",
      "a",
      "\u2581a",
      "<0x20>",
      "<0xF0>",
      "<0x9F>",
      "<0x98>",
      "<0x80>",
      "<0xFF>"
  };
  vocabulary.scores.assign(vocabulary.tokens.size(), -1.0F);
  vocabulary.token_types = {2, 3, 1, 1, 1, 6, 6, 6, 6, 6, 6};
  vocabulary.add_space_prefix = adds_space_prefix;
  return Tokenizer::from_vocabulary(vocabulary);
}

TEST(DetokenizerTest, takes_one_space_off_the_front_of_a_text) {
  const Tokenizer tokenizer = sentencepiece(true);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{4, 4}), "a a");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{1, 2, 4}), " a");
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{5, 5}), " ");
  EXPECT_EQ(
      tokenizer.decode(
          std::vector<std::int32_t>{1, 4}, {.special_tokens = SpecialTokensInOutput::kept}
      ),
      "<s> a"
  );
  EXPECT_EQ(sentencepiece(false).decode(std::vector<std::int32_t>{4, 4}), " a a");
}

TEST(DetokenizerTest, holds_back_half_a_character_until_it_is_whole) {
  const Tokenizer tokenizer = sentencepiece(true);
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.append(6), "");
  EXPECT_EQ(detokenizer.append(7), "");
  EXPECT_EQ(detokenizer.append(8), "");
  EXPECT_EQ(detokenizer.append(9), "\xF0\x9F\x98\x80");
  EXPECT_EQ(detokenizer.append(6), "");
  EXPECT_EQ(detokenizer.finish(), "\uFFFD");
}

TEST(DetokenizerTest, a_stream_is_the_whole_text_for_any_ids) {
  std::mt19937 random(7);
  std::uniform_int_distribution<std::int32_t> any_id(-1, 11);
  for (const bool adds_space_prefix : {false, true}) {
    const Tokenizer tokenizer = sentencepiece(adds_space_prefix);
    for (int round = 0; round < 2000; ++round) {
      std::vector<std::int32_t> ids(static_cast<std::size_t>(round % 12));
      for (std::int32_t& id : ids) id = any_id(random);
      Detokenizer detokenizer(tokenizer);
      std::string streamed;
      for (const std::int32_t id : ids) streamed += detokenizer.append(id);
      streamed += detokenizer.finish();
      // The bytes one after the other, assembled at once, are the independent whole.
      Utf8Assembler whole(InvalidBytes::replace_bytes);
      std::string bytes;
      for (const std::int32_t id : ids)
        bytes += tokenizer.is_special(id) ? "" : tokenizer.id_to_bytes(id);
      if (adds_space_prefix && bytes.starts_with(' ')) bytes.erase(0, 1);
      std::string expected = whole.append(bytes);
      expected += whole.finish();
      ASSERT_EQ(streamed, expected);
      ASSERT_EQ(tokenizer.decode(ids), expected);
    }
  }
}

}  // namespace
}  // namespace mlxs
