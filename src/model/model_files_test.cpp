// Finding a model by path and by name, and what is said when there is none.
#include "model/model_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;

class ModelFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "mlxs_model_files_XXXXXX").string();
    ASSERT_NE(mkdtemp(form.data()), nullptr);
    home_ = form;
    fs::create_directories(models());
  }

  void TearDown() override { fs::remove_all(home_); }

  [[nodiscard]] fs::path models() const { return home_ / "models"; }

  static void touch(const fs::path& path) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "x";
  }

  [[nodiscard]] fs::path resolve(const std::string& model) const {
    return resolve_model(model, home_.string());
  }

  [[nodiscard]] std::pair<ErrorCode, std::string> error_of(const std::string& model) const {
    try {
      const fs::path path = resolve(model);
      ADD_FAILURE() << model << " was resolved to " << path;
    } catch (const Error& error) {
      return {error.code(), error.what()};
    }
    return {ErrorCode::engine_error, ""};
  }

  fs::path home_;
};

TEST_F(ModelFilesTest, Paths) {
  touch(home_ / "elsewhere/config.json");
  touch(home_ / "elsewhere/a b.gguf");
  EXPECT_EQ(resolve((home_ / "elsewhere").string()), home_ / "elsewhere");
  EXPECT_EQ(resolve((home_ / "elsewhere/a b.gguf").string()), home_ / "elsewhere/a b.gguf");
}

TEST_F(ModelFilesTest, Names) {
  touch(models() / "tiny.gguf");
  touch(models() / "folder/config.json");
  EXPECT_EQ(resolve("tiny"), models() / "tiny.gguf");
  EXPECT_EQ(resolve("folder"), models() / "folder");
}

TEST_F(ModelFilesTest, TheDefaultModel) {
  touch(models() / kDefaultModelFile);
  for (const char* name : {"", "default", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1"}) {
    EXPECT_EQ(resolve(name), models() / kDefaultModelFile) << name;
  }
  touch(models() / "default.gguf");
  EXPECT_EQ(resolve(""), models() / "default.gguf");
  EXPECT_EQ(resolve("smollm2-135m-instruct"), models() / kDefaultModelFile);
}

TEST_F(ModelFilesTest, UnknownNamesListWhatIsThere) {
  const auto [code, message] = error_of("nope");
  EXPECT_EQ(code, ErrorCode::model_not_found);
  EXPECT_NE(message.find("model \"nope\" was not found"), std::string::npos) << message;
  EXPECT_NE(message.find("holds none"), std::string::npos) << message;
  EXPECT_NE(message.find("make setup"), std::string::npos) << message;

  touch(models() / "b.gguf");
  touch(models() / "a/config.json");
  touch(models() / ".hidden.gguf");
  touch(models() / "not_a_model/readme.txt");
  EXPECT_NE(error_of("nope").second.find("holds a, b;"), std::string::npos)
      << error_of("nope").second;
  EXPECT_EQ(list_models(home_.string()), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(error_of("").first, ErrorCode::model_not_found);
}

TEST_F(ModelFilesTest, NamesDoNotLeadOut) {
  touch(home_ / "secret.gguf");
  for (const char* name : {"../secret", "..", ".", "models/../../secret", ".hidden"}) {
    const auto [code, message] = error_of(name);
    EXPECT_TRUE(code == ErrorCode::model_not_found || code == ErrorCode::invalid_model)
        << name << ": " << message;
  }
  EXPECT_EQ(error_of(std::string("a\0b", 3)).first, ErrorCode::model_not_found);
  EXPECT_EQ(error_of(std::string(100'000, 'a')).first, ErrorCode::model_not_found);
  EXPECT_EQ(error_of("a\nb\x1b[31m").second.find('\n'), std::string::npos);
}

TEST_F(ModelFilesTest, WhatIsNoModel) {
  touch(home_ / "empty/readme.txt");
  touch(home_ / "weights.bin");
  EXPECT_EQ(error_of((home_ / "empty").string()).first, ErrorCode::invalid_model);
  EXPECT_EQ(error_of((home_ / "weights.bin").string()).first, ErrorCode::invalid_model);
  EXPECT_EQ(error_of("/dev/zero").first, ErrorCode::invalid_model);
  EXPECT_EQ(error_of((home_ / "missing.gguf").string()).first, ErrorCode::model_not_found);
  fs::create_directories(home_ / "folder.gguf");
  EXPECT_EQ(error_of((home_ / "folder.gguf").string()).first, ErrorCode::invalid_model);
}

}  // namespace
}  // namespace mlxs
