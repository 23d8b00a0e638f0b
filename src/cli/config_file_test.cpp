// Configuration files: what they give, what is refused with which line, and the document of them.
#include "cli/config_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/settings.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

// A file that goes away with its scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(
            std::filesystem::temp_directory_path() /
            ("mlxs_config_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
             ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".yaml")
        ) {
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string error_of(const std::string& text) {
  const TemporaryFile file(text);
  try {
    Settings::check(read_config_file(file.path()));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_config);
    const std::string message = error.what();
    const std::size_t place = message.find(file.path() + ":");
    EXPECT_NE(place, std::string::npos) << message;
    return message.substr(place == std::string::npos ? 0 : place + file.path().size() + 1);
  }
  return "no error";
}

Environment environment_of(const std::string& name, const std::string& value) {
  return [=](const std::string& wanted) {
    return wanted == name ? std::optional<std::string>(value) : std::nullopt;
  };
}

TEST(ConfigFile, GivesTheValuesOfSettings) {
  const TemporaryFile file(
      "# a comment\nport: 81\nkv_memory: 2GiB\ninsecure: yes\nmodel_aliases: [small, big]\n"
      "allowed_hosts: a,b\ntemperature: 0.5\n"
  );
  const FileSettings values = read_config_file(file.path());
  const Settings settings = Settings::resolve(kServeCommand, {}, environment_of("", ""), values);
  EXPECT_EQ(settings.integer("port"), 81);
  EXPECT_EQ(settings.source("port"), Settings::Source::file);
  EXPECT_EQ(settings.integer("kv_memory"), std::int64_t{2} << 30);
  EXPECT_TRUE(settings.is_on("insecure"));
  EXPECT_EQ(settings.list("model_aliases"), (std::vector<std::string>{"small", "big"}));
  EXPECT_EQ(settings.list("allowed_hosts"), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(settings.has("temperature"));
  EXPECT_EQ(settings.source("host"), Settings::Source::default_value);
}

TEST(ConfigFile, FlagsAndVariablesWin) {
  const TemporaryFile file("port: 81\n");
  const FileSettings values = read_config_file(file.path());
  const Environment environment = environment_of("MLX_SERVING_PORT", "82");
  EXPECT_EQ(Settings::resolve(kServeCommand, {}, environment, values).integer("port"), 82);
  EXPECT_EQ(
      Settings::resolve(kServeCommand, {{"port", "83"}}, environment, values).integer("port"), 83
  );
}

TEST(ConfigFile, RefusesWithTheLine) {
  EXPECT_TRUE(error_of("port: 81\nnonsense: 1\n").starts_with("2: no setting is called"));
  EXPECT_TRUE(error_of("port: 81\n\nport: 82\n").starts_with("3: port is there twice"));
  EXPECT_TRUE(error_of("config: other.yaml\n").starts_with("1: no setting is called"));
  EXPECT_TRUE(error_of("port:\n  a: 1\n").starts_with("2: port must be"));
  EXPECT_TRUE(error_of("- port\n").starts_with("1: the file must be a mapping"));
  EXPECT_TRUE(error_of("port: [1\n").find("no sound YAML") != std::string::npos);
  EXPECT_TRUE(error_of("model_aliases: ['a,b']\n").find("comma") != std::string::npos);
  EXPECT_TRUE(error_of("host: a\nport: 99999\n").starts_with("2: port is \"99999\""));
  EXPECT_TRUE(error_of("temperature: 9\n").starts_with("1: temperature is \"9\""));
  EXPECT_EQ(error_of(""), "no error");
  EXPECT_THROW(static_cast<void>(read_config_file("/nonexistent/x.yaml")), Error);
}

TEST(ConfigFile, TheSchemaHasEverySetting) {
  const json::value schema = parse_json(config_schema());
  EXPECT_EQ(schema.at("additionalProperties"), false);
  const json::object& properties = schema.at("properties").as_object();
  EXPECT_EQ(properties.size(), setting_table().size() - 1);
  EXPECT_EQ(properties.at("port").at("maximum"), 65535);
  EXPECT_EQ(properties.at("insecure").at("type"), "boolean");
  EXPECT_EQ(properties.at("device").at("enum").as_array().size(), 3U);
}

TEST(ConfigFile, TheDocumentIsTheTables) {
  std::ifstream in(MLXS_GOLDEN_DIR "/../../docs/CONFIGURATION.md");
  const std::string written{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_EQ(written, config_document())
      << "write it anew: build/release/mlx-serving config docs >docs/CONFIGURATION.md";
}

}  // namespace
}  // namespace mlxs
