// Tokenizers against `tokenizers`, `sentencepiece` and Transformers' GGUF loader on 2,000 strings,
// both ways.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/detokenizer.h"
#include "text/testing/golden_files.h"
#include "text/tokenizer.h"

namespace mlxs {
namespace {

using testing::golden_strings;
using testing::read_golden;
using testing::read_golden_ids;
using testing::read_golden_json;
using testing::to_ids;
using testing::to_text;
using Ids = std::vector<std::int32_t>;

constexpr EncodeOptions kAsText = {.special_tokens = SpecialTokensInText::as_text};
constexpr DecodeOptions kKeepSpecial = {.special_tokens = SpecialTokensInOutput::kept};

// The lists of `name`.ids with the exceptions that `content` has under `key`.
std::vector<Ids> expected_ids(
    const std::string& name, const json::value& content, const char* key
) {
  std::vector<Ids> lists = read_golden_ids(name + ".ids");
  if (key) {
    for (const auto& [index, ids] : content.at(key).as_object())
      lists.at(std::stoul(std::string(index))) = to_ids(ids);
  }
  return lists;
}

void expect_ids(
    const Tokenizer& tokenizer, const EncodeOptions& options, const std::vector<Ids>& expected
) {
  const std::vector<std::string> strings = golden_strings();
  ASSERT_EQ(strings.size(), 2000U);
  ASSERT_EQ(expected.size(), strings.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    ASSERT_EQ(tokenizer.encode(strings[i], options), expected[i])
        << "string " << i << ": " << json_quote(strings[i]);
  }
}

std::string stream(const Tokenizer& tokenizer, const Ids& ids, const DecodeOptions& options) {
  Detokenizer detokenizer(tokenizer, options);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string delta = detokenizer.append(id);
    // The strict parser refuses half a character.
    EXPECT_NO_THROW((void)parse_json(json_quote(delta)));
    text += delta;
  }
  return text + detokenizer.finish();
}

void expect_texts(
    const Tokenizer& tokenizer, const std::vector<Ids>& ids, const json::value& content
) {
  std::vector<std::string> expected = golden_strings();
  for (const auto& [index, text] : content.at("decoded").as_object()) {
    expected.at(std::stoul(std::string(index))) = to_text(text);
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(tokenizer.decode(ids[i], kKeepSpecial), expected[i]) << "string " << i;
    ASSERT_EQ(stream(tokenizer, ids[i], kKeepSpecial), expected[i]) << "string " << i;
  }
}

void expect_random_texts(const Tokenizer& tokenizer, const json::value& content) {
  for (const json::value& item : content.at("random").as_array()) {
    const Ids ids = to_ids(item.at("ids"));
    EXPECT_EQ(tokenizer.decode(ids, kKeepSpecial), to_text(item.at("text")))
        << json::serialize(item.at("ids"));
    EXPECT_EQ(tokenizer.decode(ids), to_text(item.at("text_without_special")))
        << json::serialize(item.at("ids"));
  }
}

void expect_affixes(const Tokenizer& tokenizer, const json::value& content) {
  EXPECT_EQ(
      tokenizer.encode("a", {.add_special_tokens = AddSpecialTokens::yes}),
      to_ids(content.at("around_a"))
  );
}

// A GGUF's form of a byte-level tokenizer.json.
GgufVocabulary to_vocabulary(const json::value& file, const json::value& content) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = to_text(content.at("pre"));
  std::map<std::int32_t, std::string> tokens;
  for (const auto& [token, id] : file.at("model").at("vocab").as_object()) {
    tokens[id.to_number<std::int32_t>()] = std::string(token);
  }
  std::map<std::int32_t, std::int32_t> types;
  for (const json::value& token : file.at("added_tokens").as_array()) {
    const auto id = token.at("id").to_number<std::int32_t>();
    tokens[id] = to_text(token.at("content"));
    types[id] = token.at("special").as_bool() ? 3 : 4;
  }
  for (const auto& [id, token] : tokens) {
    vocabulary.tokens.push_back(token);
    vocabulary.token_types.push_back(types.contains(id) ? types[id] : 1);
  }
  for (const json::value& merge : file.at("model").at("merges").as_array()) {
    vocabulary.merges.push_back(to_text(merge.at(0)) + ' ' + to_text(merge.at(1)));
  }
  vocabulary.bos_id = content.at("bos_id").to_number<std::int32_t>();
  vocabulary.add_bos = true;
  return vocabulary;
}

class ByteLevelGoldenTest : public ::testing::TestWithParam<const char*> {};

void expect_golden(
    const Tokenizer& tokenizer, const std::string& name, const json::value& content
) {
  expect_ids(tokenizer, {}, expected_ids(name, content, nullptr));
  expect_ids(tokenizer, kAsText, expected_ids(name, content, "ids_as_text"));
  expect_texts(tokenizer, expected_ids(name, content, nullptr), content);
  expect_random_texts(tokenizer, content);
}

TEST_P(ByteLevelGoldenTest, from_json) {
  const std::string name = GetParam();
  const json::value content = read_golden_json(name + ".json");
  const auto tokenizer = Tokenizer::from_json(read_golden(name + ".tokenizer.json"));
  expect_golden(tokenizer, name, content);
  expect_affixes(tokenizer, content);
}

TEST_P(ByteLevelGoldenTest, from_vocabulary) {
  const std::string name = GetParam();
  const json::value content = read_golden_json(name + ".json");
  const auto tokenizer =
      Tokenizer::from_vocabulary(to_vocabulary(read_golden_json(name + ".tokenizer.json"), content)
      );
  expect_golden(tokenizer, name, content);
  expect_affixes(tokenizer, content);
}

INSTANTIATE_TEST_SUITE_P(
    all,
    ByteLevelGoldenTest,
    ::testing::Values(
        "bpe_default",
        "bpe_gpt-2",
        "bpe_smollm",
        "bpe_llama-bpe",
        "bpe_dbrx",
        "bpe_qwen2",
        "bpe_tekken",
        "bpe_gpt-4o"
    ),
    [](const auto& test) {
      std::string name = test.param;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    }
);

class SentencePieceGoldenTest : public ::testing::TestWithParam<const char*> {};

void expect_sentencepiece_golden(
    const Tokenizer& tokenizer, const std::string& name, const json::value& content
) {
  expect_ids(tokenizer, {}, expected_ids(name, content, nullptr));
  expect_ids(tokenizer, kAsText, expected_ids(name, content, "ids_as_text"));
  expect_texts(tokenizer, expected_ids(name, content, nullptr), content);
  expect_affixes(tokenizer, content);
}

TEST_P(SentencePieceGoldenTest, from_json) {
  const std::string name = GetParam();
  const auto tokenizer = Tokenizer::from_json(read_golden(name + ".tokenizer.json"));
  expect_sentencepiece_golden(tokenizer, name, read_golden_json(name + ".json"));
}

TEST_P(SentencePieceGoldenTest, from_vocabulary) {
  const std::string name = GetParam();
  const json::value content = read_golden_json(name + ".json");
  const json::value& from = content.at("vocabulary");
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  for (const json::value& token : from.at("tokens").as_array())
    vocabulary.tokens.push_back(to_text(token));
  for (const json::value& score : from.at("scores").as_array())
    vocabulary.scores.push_back(score.to_number<float>());
  vocabulary.token_types = to_ids(from.at("types"));
  vocabulary.unk_id = 0;
  vocabulary.bos_id = 1;
  vocabulary.eos_id = 2;
  vocabulary.add_space_prefix = content.at("add_space_prefix").as_bool();
  const auto tokenizer = Tokenizer::from_vocabulary(vocabulary);
  expect_sentencepiece_golden(tokenizer, name, content);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The text in sentencepiece's form: control tokens are nothing, the unknown token is a mark of its
// own, and the first word's space goes even after control tokens.
std::string as_sentencepiece(std::string text, const Ids& ids, bool has_space_prefix) {
  replace_all(text, "<s>", "");
  replace_all(text, "</s>", "");
  replace_all(text, "<unk>", " \xE2\x81\x87 ");
  const auto first = std::ranges::find_if(ids, [](std::int32_t id) { return id != 1 && id != 2; });
  const bool keeps_space = first == ids.begin() || first == ids.end() || *first == 0;
  if (has_space_prefix && !keeps_space && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

TEST_P(SentencePieceGoldenTest, decodes_random_ids_as_sentencepiece_does) {
  const json::value content = read_golden_json(std::string(GetParam()) + ".json");
  const auto tokenizer =
      Tokenizer::from_json(read_golden(std::string(GetParam()) + ".tokenizer.json"));
  const bool has_space_prefix = content.at("add_space_prefix").as_bool();
  const json::array& sequences = content.at("random").as_array();
  const json::array& texts = content.at("random_sentencepiece").as_array();
  ASSERT_EQ(sequences.size(), texts.size());
  ASSERT_FALSE(texts.empty());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Ids ids = to_ids(sequences[i].at("ids"));
    const std::string text = tokenizer.decode(ids, kKeepSpecial);
    EXPECT_EQ(as_sentencepiece(text, ids, has_space_prefix), to_text(texts[i]))
        << json::serialize(sequences[i].at("ids"));
    EXPECT_EQ(stream(tokenizer, ids, kKeepSpecial), text);
  }
}

// sentencepiece itself and Hugging Face's form differ only after added tokens in a text; the
// golden's comment says how.
TEST_P(SentencePieceGoldenTest, differs_from_sentencepiece_only_after_added_tokens) {
  const json::value content = read_golden_json(std::string(GetParam()) + ".json");
  const std::vector<std::string> strings = golden_strings();
  for (const auto& [index, ids] : content.at("ids_sentencepiece").as_object()) {
    const std::string& text = strings.at(std::stoul(std::string(index)));
    EXPECT_TRUE(
        text.find("<|user|>") != std::string::npos || text.find("<tool_call>") != std::string::npos
    ) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    all,
    SentencePieceGoldenTest,
    ::testing::Values("spm_prefix", "spm_plain"),
    [](const auto& test) { return std::string(test.param); }
);

TEST(UnigramGoldenTest, from_json) {
  const json::value content = read_golden_json("unigram.json");
  const auto tokenizer = Tokenizer::from_json(read_golden("unigram.tokenizer.json"));
  expect_golden(tokenizer, "unigram", content);
  expect_affixes(tokenizer, content);
}

TEST(DefaultModelGoldenTest, from_vocabulary) {
  const json::value content = read_golden_json("smollm2.json");
  const auto tokenizer = Tokenizer::from_vocabulary(testing::read_smollm2_vocabulary());
  EXPECT_EQ(tokenizer.vocab_size(), 49152);
  const std::vector<Ids> ids = expected_ids("smollm2", content, "ids_by_pre");
  expect_ids(tokenizer, {}, ids);
  expect_texts(tokenizer, ids, content);
  expect_random_texts(tokenizer, content);
}

}  // namespace
}  // namespace mlxs
