// A conversation over a pipe: turns, commands and what an error does.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/testing/cli_harness.h"

namespace mlxs {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> chat(const std::string& input) {
  CliHarness harness;
  harness.engine.context_length = 600;
  harness.input = input;
  EXPECT_EQ(harness.run({"chat", "--max-tokens", "6", "--seed", "1"}), kExitOk) << harness.err;
  EXPECT_EQ(harness.err, "");
  return lines_of(harness.out);
}

TEST(Chat, OneTurnPerLine) {
  EXPECT_EQ(chat("").size(), 0U);
  const auto answers = chat("hello\nhello\n");
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].size(), 6U);
  // The second turn has the first in its prompt, and the fake model's answer depends on all of it.
  EXPECT_NE(answers[0], answers[1]);
}

TEST(Chat, ClearForgetsAndRetryRepeats) {
  const auto answers = chat("hello\n/retry\n/clear\nhello\nhello\n/retry\n");
  ASSERT_EQ(answers.size(), 6U);
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(answers[2], "The conversation is forgotten.");
  EXPECT_EQ(answers[3], answers[0]);
  EXPECT_NE(answers[4], answers[0]);
  EXPECT_EQ(answers[5], answers[4]);
}

TEST(Chat, SystemMessage) {
  const auto answers = chat("hello\n/system be brief\nhello\n/clear\nhello\n/system\nhello\n");
  ASSERT_EQ(answers.size(), 7U);
  EXPECT_EQ(answers[1], "The system message is set.");
  EXPECT_NE(answers[2], answers[0]);
  EXPECT_EQ(answers[4], answers[2]);  // /clear keeps it
  EXPECT_EQ(answers[6], answers[0]);
}

TEST(Chat, CommandsThatDoNotAsk) {
  const auto answers = chat("/stats\n/retry\n/nonsense\n  \n/exit\nhello\n");
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0], "There was no answer yet.");
  EXPECT_EQ(answers[1], "There is no message to answer again.");
  EXPECT_EQ(answers[2], "/nonsense is no command; /help lists them");
}

TEST(Chat, ContinuedLinesAreOneMessage) {
  EXPECT_EQ(chat("a\\\nb\n").size(), 1U);
  EXPECT_NE(chat("a\\\nb\n"), chat("ab\n"));
}

TEST(Chat, AnErrorEndsAScript) {
  CliHarness harness;
  harness.input = std::string(1000, 'x') + "\nnever\n";
  EXPECT_EQ(harness.run({"chat"}), kExitUsage);
  EXPECT_EQ(harness.out, "");
  EXPECT_EQ(std::ranges::count(harness.err, '\n'), 1) << harness.err;
}

TEST(Chat, CtrlCEndsAScript) {
  CliHarness harness;
  harness.engine.context_length = 1'000;
  harness.engine.runner.before_step = [&harness](std::uint64_t step) {
    if (step == 5) harness.interrupts.deliver(SIGINT);
  };
  harness.input = "hello\nnever\n";
  EXPECT_EQ(harness.run({"chat"}), kExitInterrupted) << harness.err;
  EXPECT_EQ(lines_of(harness.out).size(), 1U);
}

TEST(Answer, MessagesAsJson) {
  EXPECT_EQ(
      messages_json({{"system", "be \"brief\""}, {"user", "a\nb"}}),
      R"([{"role":"system","content":"be \"brief\""},{"role":"user","content":"a\nb"}])"
  );
}

TEST(AnswerText, ControlCharactersDoNotReachATerminal) {
  std::istringstream in;
  std::ostringstream out;
  Console console{.in = in, .out = out, .err = out};
  EXPECT_EQ(answer_text(console, "a\x1b[2J\n"), "a\x1b[2J\n");
  console.is_out_terminal = true;
  EXPECT_EQ(answer_text(console, "a\x1b[2J\n\tb\n\nc"), "a\\x1b[2J\n\tb\n\nc");
  EXPECT_EQ(styled(console, TextStyle::bold, "x"), "x");
  console.has_colour = true;
  EXPECT_EQ(styled(console, TextStyle::bold, "x"), "\x1b[1mx\x1b[0m");
}

}  // namespace
}  // namespace mlxs
