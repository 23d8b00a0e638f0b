#include "engine/output_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

struct Shown {
  std::string text;
  bool is_stopped = false;
};

Shown show(const std::string& bytes, std::vector<std::string> stop) {
  const Tokenizer tokenizer = make_byte_tokenizer();
  OutputText output(tokenizer, {.stop = std::move(stop)});
  Shown shown;
  for (const char byte : bytes) {
    shown.text += output.append(static_cast<unsigned char>(byte));
    if (output.is_stopped()) break;
  }
  shown.text += output.finish();
  shown.is_stopped = output.is_stopped();
  return shown;
}

TEST(OutputText, WithoutStopStringsEverythingComesAtOnce) {
  const Tokenizer tokenizer = make_byte_tokenizer();
  OutputText output(tokenizer, {});
  EXPECT_EQ(output.append('a'), "a");
  EXPECT_EQ(output.append(0xC3), "");
  EXPECT_EQ(output.append(0xA9), "\xC3\xA9");
  EXPECT_EQ(output.finish(), "");
}

TEST(OutputText, HoldsBackWhatMayBeAStopString) {
  const Tokenizer tokenizer = make_byte_tokenizer();
  OutputText output(tokenizer, {.stop = {"END"}});
  EXPECT_EQ(output.append('x'), "x");
  EXPECT_EQ(output.append('E'), "");
  EXPECT_EQ(output.append('N'), "");
  EXPECT_EQ(output.append('x'), "ENx");
  EXPECT_EQ(output.append('E'), "");
  EXPECT_EQ(output.finish(), "E");
  EXPECT_FALSE(output.is_stopped());
}

TEST(OutputText, CutsBeforeTheFirstStopString) {
  const Shown shown = show("one, two. three, four.", {"four", "three", ","});
  EXPECT_EQ(shown.text, "one");
  EXPECT_TRUE(shown.is_stopped);
  EXPECT_EQ(show("aab", {"ab"}).text, "a");
  EXPECT_EQ(show("abababc", {"ababc"}).text, "ab");
}

TEST(OutputText, ShowsTheStopStringWhereAsked) {
  const Tokenizer tokenizer = make_byte_tokenizer();
  OutputText output(tokenizer, {.stop = {"END"}, .includes_stop = true});
  std::string text;
  for (const char byte : std::string("x END y")) text += output.append(byte);
  EXPECT_EQ(text, "x END");
  EXPECT_EQ(output.stopped_by(), "END");
}

TEST(OutputText, StopStringsBeforeTheLeastLengthAreText) {
  const Tokenizer tokenizer = make_byte_tokenizer();
  OutputText output(tokenizer, {.stop = {"b"}, .min_tokens = 4});
  std::string text;
  for (const char byte : std::string("abacadab")) text += output.append(byte);
  EXPECT_EQ(text, "abacada");
}

// However the text is cut into tokens, the result is that of one search over the whole.
TEST(OutputText, RandomTextsStopWhereAPlainSearchFinds) {
  std::mt19937 random(5);
  const auto random_text = [&random](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>('a' + random() % 3));
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_text(random() % 40);
    std::vector<std::string> stop;
    for (std::size_t i = 0; i < 1 + random() % 3; ++i)
      stop.push_back(random_text(1 + random() % 5));
    // The stop string that is complete first ends the text, so the earliest end decides, then the
    // earliest start.
    std::size_t end = std::string::npos;
    for (std::size_t size = 1; size <= text.size() && end == std::string::npos; ++size) {
      for (const auto& candidate : stop) {
        if (text.substr(0, size).ends_with(candidate)) end = size;
      }
    }
    std::size_t cut = text.size();
    for (const auto& candidate : stop)
      cut = std::min(cut, text.substr(0, std::min(end, text.size())).find(candidate));
    const Shown shown = show(text, stop);
    ASSERT_EQ(shown.text, text.substr(0, cut)) << text;
    ASSERT_EQ(shown.is_stopped, end != std::string::npos) << text;
  }
}

}  // namespace
}  // namespace mlxs
