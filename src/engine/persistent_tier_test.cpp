// The prefix cache over restarts of an engine, with the fake device.
#include "engine/persistent_tier.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/file_system.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

namespace fs = std::filesystem;
using testing::Answer;
using testing::ask;
using testing::expected_text;
using testing::is_idle;
using testing::text_request;

constexpr int kPageSize = 8;

class PersistentTierTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / (std::string("mlxs_tier_") + test->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::unique_ptr<Engine> open(FakeRunnerOptions runner = {}) const {
    runner.num_pages = 200;
    runner.page_size = kPageSize;
    return make_fake_engine(
        {.context_length = 512,
         .runner = std::move(runner),
         .ring = {.capacity = 2},
         .make_disk_tier =
             [folder = folder_] {
               return std::make_unique<DiskTier>(
                   open_folder(folder), DiskTierOptions{.max_bytes = std::uint64_t{64} << 20U}
               );
             }}
    );
  }

  [[nodiscard]] std::vector<fs::path> pages() const {
    std::vector<fs::path> result;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.file_size() > 0) result.push_back(entry.path());
    }
    return result;
  }

  const std::string prompt_ = std::string(70, 'p') + "end";
  fs::path folder_;
};

Request salted(Request request, std::string salt) {
  request.prefix_cache.salt = std::move(salt);
  return request;
}

TEST_F(PersistentTierTest, APromptIsCachedAfterARestart) {
  EXPECT_EQ(ask(*open(), text_request(prompt_, 10)).finish.usage.cached_tokens, 0);
  EXPECT_GE(pages().size(), prompt_.size() / kPageSize);
  const auto engine = open();
  const Answer answer = ask(*engine, text_request(prompt_, 10));
  EXPECT_EQ(answer.text, expected_text(prompt_, 10));
  EXPECT_EQ(answer.finish.usage.cached_tokens, 72);
  EXPECT_TRUE(is_idle(*engine));
}

TEST_F(PersistentTierTest, SaltsStayApartAfterARestart) {
  (void)ask(*open(), salted(text_request(prompt_, 10), "a"));
  const auto engine = open();
  EXPECT_EQ(ask(*engine, text_request(prompt_, 10)).finish.usage.cached_tokens, 0);
  EXPECT_EQ(ask(*engine, salted(text_request(prompt_, 10), "b")).finish.usage.cached_tokens, 0);
  EXPECT_GT(ask(*engine, salted(text_request(prompt_, 10), "a")).finish.usage.cached_tokens, 0);
}

TEST_F(PersistentTierTest, DamagedPagesAreComputedAgain) {
  (void)ask(*open(), text_request(prompt_, 10));
  for (const fs::path& page : pages()) {
    std::fstream file(page, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-3, std::ios::end);
    file.put('\x7f');
  }
  const Answer answer = ask(*open(), text_request(prompt_, 10));
  EXPECT_EQ(answer.text, expected_text(prompt_, 10));
  EXPECT_EQ(answer.finish.usage.cached_tokens, 0);
}

TEST_F(PersistentTierTest, WhatFailedIsNotKept) {
  FakeRunnerOptions runner;
  runner.after_step = [](const Batch&, StepResult& result) {
    for (SampledToken& token : result.tokens) token.is_finite = false;
  };
  (void)ask(*open(runner), text_request(prompt_, 10));
  EXPECT_EQ(ask(*open(), text_request(prompt_, 10)).finish.usage.cached_tokens, 0);
}

TEST_F(PersistentTierTest, ASecondEngineOnTheSameFolderIsRefused) {
  const auto first = open();
  EXPECT_THROW((void)open(), Error);
}

TEST_F(PersistentTierTest, ManyPromptsMoreThanThePagesHoldComeBackRight) {
  for (int round = 0; round < 2; ++round) {
    const auto engine = open();
    std::vector<Generation> generations;
    for (int i = 0; i < 30; ++i)
      generations.push_back(engine->submit(text_request(std::to_string(i) + prompt_, 20)));
    for (int i = 0; i < 30; ++i) {
      const Answer answer = testing::read_all(generations[static_cast<std::size_t>(i)]);
      EXPECT_EQ(answer.text, expected_text(std::to_string(i) + prompt_, 20));
    }
    EXPECT_TRUE(is_idle(*engine));
  }
}

}  // namespace
}  // namespace mlxs
