// Commands, exit codes and the one line of an error, in process and on a fake engine.
#include "cli/cli.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "cli/testing/cli_harness.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// Exit code 2, nothing on stdout, and exactly one line on stderr that holds `part`.
void expect_usage_error(
    CliHarness& harness, const std::vector<std::string>& args, const std::string& part
) {
  EXPECT_EQ(harness.run(args), kExitUsage) << harness.err;
  EXPECT_EQ(harness.out, "");
  EXPECT_TRUE(harness.err.starts_with("mlx-serving: error: ")) << harness.err;
  EXPECT_EQ(std::ranges::count(harness.err, '\n'), 1) << harness.err;
  EXPECT_TRUE(harness.err.ends_with('\n')) << harness.err;
  EXPECT_NE(harness.err.find(part), std::string::npos) << harness.err;
}

void expect_usage_error(const std::vector<std::string>& args, const std::string& part) {
  CliHarness harness;
  expect_usage_error(harness, args, part);
}

TEST(Cli, BadUsageIsOneLine) {
  expect_usage_error(
      {}, "a command is missing; the commands are serve, generate, chat, bench, top, info, config"
  );
  expect_usage_error({"sevre"}, "no command is called \"sevre\"");
  expect_usage_error({"bad\nword\x1b[31m"}, "bad\\nword\\x1b[31m");
  expect_usage_error({"--nonsense"}, "--nonsense");
  expect_usage_error({"generate"}, "--prompt is required");
  expect_usage_error({"generate", "--prompt"}, "--prompt");
  expect_usage_error({"generate", "--prompt", "x", "--nonsense"}, "--nonsense");
  expect_usage_error({"generate", "model", "another", "--prompt", "x"}, "another");
  expect_usage_error({"generate", "--prompt", "x", "--raw", "--system", "y"}, "--system");
  expect_usage_error({"serve", "--port", "1", "--port", "2"}, "--port");
}

TEST(Cli, BadValuesNameFlagOrVariable) {
  expect_usage_error({"generate", "--prompt", "x", "--max-tokens", "0"}, "--max-tokens is \"0\"");
  expect_usage_error({"generate", "--prompt", "x", "--temperature", "3"}, "--temperature is \"3\"");
  expect_usage_error({"generate", "--prompt", "x", "--seed", "-1"}, "--seed is \"-1\"");
  expect_usage_error({"bench", "--batch", "1,0"}, "--batch");
  expect_usage_error({"bench", "--repeat", "0"}, "--repeat");
  expect_usage_error({"bench", "--prompt", "0", "--gen", "0"}, "nothing to measure");
  CliHarness harness;
  harness.variables["MLX_SERVING_DEVICE"] = "tpu";
  expect_usage_error(harness, {"info"}, "environment variable MLX_SERVING_DEVICE is \"tpu\"");
}

TEST(Cli, ReservedWordsOfBench) {
  expect_usage_error({"bench", "serve", "--url", "a:80"}, "http://HOST");
  expect_usage_error({"bench", "compare", "a.json"}, "B is required");
  expect_usage_error({"top", "--url", "ftp://a"}, "http://HOST");
}

TEST(Cli, AModelMayBeNamedAsACommand) {
  CliHarness harness;
  EXPECT_EQ(harness.run({"generate", "serve", "-p", "x", "--max-tokens", "1"}), kExitOk)
      << harness.err;
  EXPECT_EQ(harness.config.model, "serve");
}

TEST(Cli, HelpAndVersion) {
  CliHarness harness;
  EXPECT_EQ(harness.run({"--help"}), kExitOk);
  for (const char* word : {"serve", "generate", "chat", "bench", "info", "Examples:"}) {
    EXPECT_NE(harness.out.find(word), std::string::npos) << word;
  }
  for (const char* later : {"convert", "pull", "compare"}) {
    EXPECT_EQ(harness.out.find(later), std::string::npos) << later;
  }
  EXPECT_EQ(harness.err, "");
  EXPECT_EQ(harness.run({"--version"}), kExitOk);
  EXPECT_TRUE(harness.out.starts_with("mlx-serving ")) << harness.out;
  EXPECT_NE(harness.out.find("MLX 9.9.9)\n"), std::string::npos) << harness.out;
}

TEST(Cli, HelpOfEveryCommandNamesItsSettings) {
  const std::map<std::string, SettingCommand> commands = {
      {"serve", kServeCommand},
      {"generate", kGenerateCommand},
      {"chat", kChatCommand},
      {"bench", kBenchCommand},
      {"info", kInfoCommand}
  };
  for (const auto& [name, bit] : commands) {
    CliHarness harness;
    EXPECT_EQ(harness.run({name, "--help"}), kExitOk);
    EXPECT_NE(harness.out.find("Examples:"), std::string::npos) << name;
    for (const Setting& setting : setting_table()) {
      const bool is_there = harness.out.find(setting_flag(setting) + " ") != std::string::npos;
      EXPECT_EQ(is_there, (setting.commands & bit) != 0) << name << " " << setting.name;
    }
  }
}

TEST(Cli, ErrorsOfTheEngineDecideTheExitCode) {
  const std::map<ErrorCode, int> expected = {
      {ErrorCode::model_not_found, kExitUsage},
      {ErrorCode::invalid_model, kExitUsage},
      {ErrorCode::unsupported_model, kExitUsage},
      {ErrorCode::invalid_config, kExitUsage},
      {ErrorCode::io_error, kExitUsage},
      {ErrorCode::context_length_exceeded, kExitUsage},
      {ErrorCode::engine_error, kExitFault},
      {ErrorCode::numerical_error, kExitFault},
      {ErrorCode::cancelled, kExitInterrupted}
  };
  for (const auto& [code, exit_code] : expected) {
    CliHarness harness;
    harness.before_open = [error = code](const EngineConfig&) {
      throw Error(error, "line one\nline two");
    };
    EXPECT_EQ(harness.run({"generate", "--prompt", "x"}), exit_code);
    EXPECT_EQ(harness.err, "mlx-serving: error: line one\\nline two\n");
  }
  CliHarness harness;
  harness.before_open = [](const EngineConfig&) { throw std::runtime_error("odd"); };
  EXPECT_EQ(harness.run({"generate", "--prompt", "x"}), kExitFault);
  EXPECT_EQ(harness.err, "mlx-serving: error: internal fault: odd\n");
}

TEST(Generate, PrintsTheAnswer) {
  CliHarness harness;
  EXPECT_EQ(
      harness.run({"generate", "some/model", "--prompt", "hello", "--max-tokens", "5"}), kExitOk
  ) << harness.err;
  EXPECT_EQ(harness.out.size(), 6U) << harness.out;
  EXPECT_TRUE(harness.out.ends_with('\n'));
  EXPECT_EQ(harness.err, "");
  EXPECT_EQ(harness.config.model, "some/model");
  EXPECT_EQ(harness.config.max_sequences, 1);
}

TEST(Generate, Json) {
  CliHarness harness;
  ASSERT_EQ(
      harness.run({"generate", "--raw", "-p", "hello", "--max-tokens", "5", "--json"}), kExitOk
  ) << harness.err;
  EXPECT_EQ(std::ranges::count(harness.out, '\n'), 1);
  const json::object object = parse_json(harness.out.substr(0, harness.out.size() - 1)).as_object();
  EXPECT_EQ(object.at("text").as_string().size(), 5U);
  EXPECT_EQ(object.at("prompt_tokens").as_int64(), 5);
  EXPECT_EQ(object.at("token_ids").as_array().size(), 5U);
  EXPECT_EQ(object.at("finish_reason").as_string(), "length");
  EXPECT_GE(object.at("timings").as_object().at("decode_ms").as_double(), 0.0);
  ASSERT_EQ(harness.run({"generate", "--prompt", "hello", "--max-tokens", "5", "--json"}), kExitOk);
  // The chat template adds to the prompt.
  EXPECT_GT(
      parse_json(harness.out.substr(0, harness.out.size() - 1)).at("prompt_tokens").as_int64(), 5
  );
}

TEST(Generate, TheModelsEndToken) {
  CliHarness harness;
  harness.engine.runner.num_output_tokens = 3;
  ASSERT_EQ(harness.run({"generate", "--raw", "-p", "hello", "--json"}), kExitOk) << harness.err;
  const json::value object = parse_json(harness.out.substr(0, harness.out.size() - 1));
  EXPECT_EQ(object.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(object.at("text").as_string().size() + 1, object.at("token_ids").as_array().size());
}

TEST(Generate, PromptsFromStandardInputAndOddOnes) {
  CliHarness harness;
  harness.input = "hello\n";
  ASSERT_EQ(
      harness.run({"generate", "--raw", "-p", "-", "--max-tokens", "4", "--seed", "1"}), kExitOk
  ) << harness.err;
  const std::string from_input = harness.out;
  ASSERT_EQ(
      harness.run({"generate", "--raw", "-p", "hello", "--max-tokens", "4", "--seed", "1"}), kExitOk
  );
  EXPECT_EQ(from_input, harness.out);
  for (const char* prompt : {"[a,b]", "{}", "%%", "a b", "--", "-x", "\"quoted\""}) {
    CliHarness odd;
    ASSERT_EQ(
        odd.run(
            {"generate", "--raw", "--json", std::string("--prompt=") + prompt, "--max-tokens", "1"}
        ),
        kExitOk
    ) << prompt
      << odd.err;
    EXPECT_EQ(
        parse_json(odd.out.substr(0, odd.out.size() - 1)).at("prompt_tokens").as_int64(),
        static_cast<std::int64_t>(std::string_view(prompt).size())
    ) << prompt;
  }
  harness.input = "\xFF\xFE";
  EXPECT_EQ(harness.run({"generate", "--raw", "-p", "-"}), kExitUsage);
  EXPECT_EQ(
      harness.err,
      "mlx-serving: error: the prompt is not valid UTF-8; convert it, e.g. with iconv\n"
  );
}

TEST(Generate, StopStringsAreTakenAsTheyAre) {
  CliHarness harness;
  ASSERT_EQ(
      harness.run({"generate", "--raw", "-p", "hello", "--max-tokens", "6", "--seed", "1"}), kExitOk
  );
  const std::string whole = harness.out;
  const std::string stop = whole.substr(2, 2);
  ASSERT_EQ(
      harness.run(
          {"generate",
           "--raw",
           "-p",
           "hello",
           "--max-tokens",
           "6",
           "--seed",
           "1",
           "--stop",
           "[x,y]",
           "--stop",
           stop,
           "model"}
      ),
      kExitOk
  ) << harness.err;
  EXPECT_EQ(harness.out, whole.substr(0, whole.find(stop)) + "\n");
  EXPECT_EQ(harness.config.model, "model");
}

TEST(Generate, SeedsAndTooLongPrompts) {
  CliHarness harness;
  const std::vector<std::string> seven = {
      "generate", "-p", "x", "--max-tokens", "8", "--seed", "7"
  };
  harness.run(seven);
  const std::string first = harness.out;
  harness.run(seven);
  EXPECT_EQ(harness.out, first);
  EXPECT_EQ(harness.run({"generate", "-p", std::string(500, 'x')}), kExitUsage);
  EXPECT_EQ(std::ranges::count(harness.err, '\n'), 1) << harness.err;
}

TEST(Generate, CtrlCStopsTheAnswer) {
  CliHarness harness;
  harness.engine.context_length = 1'000;
  harness.engine.runner.num_pages = 512;
  harness.engine.runner.before_step = [&harness](std::uint64_t step) {
    if (step == 20) harness.interrupts.deliver(SIGINT);
  };
  EXPECT_EQ(harness.run({"generate", "-p", "x"}), kExitInterrupted) << harness.err;
  EXPECT_LT(harness.out.size(), 500U);
  EXPECT_EQ(harness.err, "");
}

TEST(Interrupts, WithoutAListenerTheProcessEnds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        interrupts.deliver(SIGINT);
      },
      testing::ExitedWithCode(130),
      ""
  );
}

TEST(Interrupts, ListenersNest) {
  Interrupts interrupts;
  std::vector<std::string> seen;
  const auto outer = interrupts.listen([&seen](int) { seen.emplace_back("outer"); });
  {
    const auto inner = interrupts.listen([&seen](int) { seen.emplace_back("inner"); });
    interrupts.deliver(SIGINT);
    interrupts.deliver(SIGINT);
  }
  interrupts.deliver(SIGTERM);
  EXPECT_EQ(seen, (std::vector<std::string>{"inner", "inner", "outer"}));
}

TEST(Serve, AnswersUntilASignal) {
  CliHarness harness;
  std::thread stopper;
  harness.before_open = [&](const EngineConfig&) {
    stopper = std::thread([&harness] {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      harness.interrupts.deliver(SIGTERM);
    });
  };
  EXPECT_EQ(harness.run({"serve", "--port", "0"}), kExitOk) << harness.err;
  stopper.join();
  EXPECT_TRUE(harness.out.starts_with("ready http://127.0.0.1:")) << harness.out;
  EXPECT_EQ(std::ranges::count(harness.out, '\n'), 1);
  EXPECT_EQ(harness.err, "");
}

TEST(Serve, RefusesOpenAddressesWithoutAKey) {
  expect_usage_error({"serve", "--host", "0.0.0.0", "--port", "0"}, "key");
}

TEST(Info, FactsOfTheBuild) {
  CliHarness harness;
  ASSERT_EQ(harness.run({"info", "--json", "--home", "/nonexistent/home"}), kExitOk) << harness.err;
  const json::value facts = parse_json(harness.out.substr(0, harness.out.size() - 1));
  EXPECT_EQ(facts.at("home").as_string(), "/nonexistent/home");
  EXPECT_EQ(facts.at("mlx_version").as_string(), "9.9.9");
  EXPECT_GE(facts.at("machine").at("cores").as_int64(), 1);
  EXPECT_GT(facts.at("machine").at("memory_bytes").as_int64(), 0);
  EXPECT_FALSE(facts.at("model_types").as_array().empty());
  ASSERT_EQ(harness.run({"info"}), kExitOk);
  EXPECT_NE(harness.out.find("/nonexistent/.cache/mlx-serving"), std::string::npos) << harness.out;
  expect_usage_error({"info", "nope"}, "model \"nope\" was not found");
}

}  // namespace
}  // namespace mlxs
