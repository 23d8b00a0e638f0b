// The table of settings and the order flag, environment, default.
#include "base/settings.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

Settings resolve_serve(
    const std::map<std::string, std::string>& flags, const Variables& variables = {}
) {
  return Settings::resolve(kServeCommand, flags, environment_of(variables));
}

std::string error_of(
    SettingCommand command,
    const std::map<std::string, std::string>& flags,
    Variables variables = {}
) {
  try {
    (void)Settings::resolve(command, flags, environment_of(std::move(variables)));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_config);
    return error.what();
  }
  return "no error";
}

TEST(SettingTable, NamesAreUniqueAndDerivable) {
  std::set<std::string> names;
  for (const Setting& setting : setting_table()) {
    EXPECT_TRUE(names.insert(std::string(setting.name)).second) << setting.name;
    EXPECT_EQ(setting.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos)
        << setting.name;
    EXPECT_NE(setting.commands, 0U) << setting.name;
    EXPECT_FALSE(setting.text.empty()) << setting.name;
  }
  EXPECT_EQ(setting_flag(find_setting("max_queue")), "--max-queue");
  EXPECT_EQ(setting_variable(find_setting("max_queue")), "MLX_SERVING_MAX_QUEUE");
  EXPECT_THROW((void)find_setting("max_queues"), std::logic_error);
}

TEST(SettingTable, EveryDefaultIsInItsDomain) {
  for (const SettingCommand command :
       {kServeCommand, kGenerateCommand, kChatCommand, kBenchCommand, kInfoCommand}) {
    EXPECT_NO_THROW((void)Settings::resolve(command, {}, environment_of({})));
  }
}

TEST(Settings, FlagBeatsEnvironmentBeatsDefault) {
  EXPECT_EQ(resolve_serve({}).integer("port"), 8080);
  EXPECT_EQ(resolve_serve({}).source("port"), Settings::Source::default_value);
  EXPECT_EQ(resolve_serve({}, {{"MLX_SERVING_PORT", "81"}}).integer("port"), 81);
  EXPECT_EQ(
      resolve_serve({}, {{"MLX_SERVING_PORT", "81"}}).source("port"), Settings::Source::environment
  );
  const Settings both = resolve_serve({{"port", "82"}}, {{"MLX_SERVING_PORT", "81"}});
  EXPECT_EQ(both.integer("port"), 82);
  EXPECT_EQ(both.source("port"), Settings::Source::flag);
  EXPECT_EQ(resolve_serve({}, {{"MLX_SERVING_PORT", ""}}).integer("port"), 8080);
}

TEST(Settings, TypedValues) {
  const Settings settings = resolve_serve(
      {{"insecure", "true"},
       {"kv_memory", "512MiB"},
       {"health_timeout", "2.5"},
       {"device", "cpu"},
       {"api_key", "x y"}}
  );
  EXPECT_TRUE(settings.is_on("insecure"));
  EXPECT_EQ(settings.integer("kv_memory"), std::int64_t{512} << 20);
  EXPECT_DOUBLE_EQ(settings.real("health_timeout"), 2.5);
  EXPECT_EQ(settings.text("device"), "cpu");
  EXPECT_EQ(settings.find_text("api_key"), "x y");
  EXPECT_EQ(resolve_serve({}).find_text("api_key"), std::nullopt);
}

TEST(Settings, Lists) {
  EXPECT_EQ(
      resolve_serve({{"allowed_hosts", "a.example,b"}}).list("allowed_hosts"),
      (std::vector<std::string>{"a.example", "b"})
  );
  EXPECT_TRUE(resolve_serve({}).list("allowed_hosts").empty());
  for (const char* bad : {"", ",", "a,", ",a", "a,,b"}) {
    EXPECT_THROW((void)resolve_serve({{"allowed_hosts", bad}}), Error) << bad;
  }
}

TEST(Settings, ByteSuffixes) {
  EXPECT_EQ(resolve_serve({{"kv_memory", "3GB"}}).integer("kv_memory"), 3'000'000'000);
  EXPECT_EQ(resolve_serve({{"kv_memory", "3KiB"}}).integer("kv_memory"), 3072);
  EXPECT_EQ(resolve_serve({{"kv_memory", "17"}}).integer("kv_memory"), 17);
  for (const char* bad : {"GB", "1.5GB", "-1", "9223372036854775807GiB", "1TB", "1 GB", ""}) {
    EXPECT_THROW((void)resolve_serve({{"kv_memory", bad}}), Error) << bad;
  }
}

TEST(Settings, ErrorsNameTheirOrigin) {
  EXPECT_EQ(
      error_of(kServeCommand, {{"port", "65536"}}),
      "--port is \"65536\"; it must be an integer from 0 to 65535"
  );
  EXPECT_EQ(
      error_of(kServeCommand, {}, {{"MLX_SERVING_PORT", "eighty"}}),
      "environment variable MLX_SERVING_PORT is \"eighty\"; it must be an integer from 0 to 65535"
  );
  EXPECT_EQ(
      error_of(kInfoCommand, {{"device", "tpu"}}),
      "--device is \"tpu\"; it must be one of auto, cpu, gpu"
  );
  EXPECT_EQ(
      error_of(kGenerateCommand, {{"top_p", "0"}}),
      "--top-p is \"0\"; it must be a number above 0 to 1"
  );
  EXPECT_EQ(
      error_of(kServeCommand, {{"insecure", "maybe"}}),
      "--insecure is \"maybe\"; it must be true or false"
  );
  EXPECT_EQ(
      error_of(kInfoCommand, {{"device", "a\nb\x1b"}}),
      "--device is \"a\\nb\\x1b\"; it must be one of auto, cpu, gpu"
  );
}

TEST(Settings, NumbersAreStrict) {
  for (const char* bad :
       {"", " 1", "1 ", "+1", "0x10", "1e3", "1.0", "99999999999999999999", "nan"}) {
    EXPECT_THROW((void)resolve_serve({{"port", bad}}), Error) << bad;
  }
  for (const char* bad : {"nan", "inf", "1e999", "2.0001", "-0.1", "1,5", ""}) {
    EXPECT_THROW(
        (void)Settings::resolve(kChatCommand, {{"temperature", bad}}, environment_of({})), Error
    ) << bad;
  }
}

TEST(Settings, OtherCommandsSettingsAreNotRead) {
  const Environment environment = environment_of({{"MLX_SERVING_PORT", "nonsense"}});
  const Settings info = Settings::resolve(kInfoCommand, {}, environment);
  EXPECT_THROW((void)info.integer("port"), std::logic_error);
  EXPECT_THROW((void)info.integer("device"), std::logic_error);
  EXPECT_THROW(
      (void)Settings::resolve(kChatCommand, {}, environment).integer("seed"), std::logic_error
  );
}

TEST(Settings, ModelHome) {
  EXPECT_EQ(model_home(environment_of({{"HOME", "/h"}})), "/h/.cache/mlx-serving");
  EXPECT_EQ(model_home(environment_of({{"HOME", "/h"}, {"MLX_SERVING_HOME", "~/m"}})), "/h/m");
  EXPECT_EQ(model_home(environment_of({{"MLX_SERVING_HOME", "/m"}})), "/m");
  EXPECT_THROW((void)model_home(environment_of({})), Error);
  EXPECT_EQ(expand_home("~other/x", environment_of({})), "~other/x");
}

}  // namespace
}  // namespace mlxs
