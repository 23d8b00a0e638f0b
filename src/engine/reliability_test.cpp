// What must hold whatever clients and devices do: nothing leaks, neighbours never notice, and what
// a failed step computed is neither told nor cached. The steps' counts are scaled by
// MLX_SERVING_TEST_SCALE.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/test_scale.h"
#include "engine/engine_parts.h"
#include "engine/testing/ask.h"
#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;
using testing::Answer;
using testing::ask;
using testing::expected_text;
using testing::is_idle;
using testing::read_all;
using testing::scaled_count;
using testing::text_request;

std::string random_prompt(std::mt19937& random, std::size_t max_size) {
  std::string prompt(1 + random() % max_size, ' ');
  for (char& letter : prompt) letter = static_cast<char>('A' + random() % 26);
  return prompt;
}

struct Asked {
  std::string prompt;
  int num_tokens = 0;
  Generation generation;

  void expect_right() {
    const Answer answer = read_all(generation);
    EXPECT_EQ(answer.finish.reason, FinishReason::length);
    EXPECT_EQ(answer.text, expected_text(prompt, num_tokens));
  }
};

Asked start(Engine& engine, std::string prompt, int num_tokens) {
  Generation generation = engine.submit(text_request(prompt, num_tokens));
  return {
      .prompt = std::move(prompt), .num_tokens = num_tokens, .generation = std::move(generation)
  };
}

std::vector<Asked> start_neighbours(Engine& engine, int count, int num_tokens) {
  std::vector<Asked> neighbours;
  for (int i = 0; i < count; ++i)
    neighbours.push_back(start(engine, "neighbour " + std::to_string(i), num_tokens));
  return neighbours;
}

TEST(Reliability, DisconnectsAtRandomMomentsLeaveNothingAndDisturbNobody) {
  const std::size_t num_disconnects = scaled_count(10'000);
  std::mt19937 random(31);
  const auto engine = make_fake_engine(
      {.context_length = 600,
       .max_sequences = 48,
       .step_tokens = 96,
       .max_queue = 200,
       .runner = {.num_pages = 3000, .page_size = 16},
       .ring = {.capacity = 2}}
  );
  std::vector<Asked> neighbours = start_neighbours(*engine, 32, 500);
  for (std::size_t done = 0; done < num_disconnects;) {
    std::vector<Generation> generations;
    for (int i = 0; i < 24; ++i) {
      const auto max_tokens = static_cast<int>(1 + random() % 12);
      generations.push_back(engine->submit(text_request(random_prompt(random, 80), max_tokens)));
    }
    // Some are dropped while they wait, some in their prompt, while they decode, or at the end.
    for (Generation& generation : generations) {
      const auto num_events = random() % 8;
      for (std::size_t i = 0; i < num_events; ++i) {
        if (random() % 2 == 0) (void)generation.try_next();
        if (random() % 16 == 0 && !generation.next()) break;
      }
      if (random() % 2 == 0) generation.cancel();
    }
    done += generations.size();
  }
  for (Asked& neighbour : neighbours) neighbour.expect_right();
  EXPECT_EQ(engine->drain(milliseconds(60'000)), 0);
  EXPECT_TRUE(is_idle(*engine));
}

TEST(Reliability, WithATenthOfThePagesEveryRequestFinishesRight) {
  const std::size_t num_runs = scaled_count(3);
  constexpr int kNumRequests = 256;
  constexpr int kPromptTokens = 1234;
  constexpr int kOutputTokens = 60;
  constexpr int kPageSize = 32;
  constexpr int kPagesOfAll =
      kNumRequests * ((kPromptTokens + kOutputTokens + kPageSize - 1) / kPageSize);
  for (std::size_t run = 0; run < num_runs; ++run) {
    for (const PreemptionKind preemption : {PreemptionKind::recompute, PreemptionKind::swap}) {
      std::mt19937 random(static_cast<std::uint32_t>(run));
      const auto engine = make_fake_engine(
          {.context_length = 2048,
           .max_sequences = kNumRequests,
           .step_tokens = 2048,
           .max_queue = kNumRequests,
           .runner = {.num_pages = kPagesOfAll / 10, .page_size = kPageSize},
           .scheduler = {.preemption = preemption, .host_pages = 200},
           .ring = {.capacity = 2}}
      );
      std::vector<Asked> asked;
      for (int i = 0; i < kNumRequests; ++i) {
        std::string prompt = random_prompt(random, 8);
        prompt.resize(kPromptTokens, static_cast<char>('A' + i % 26));
        asked.push_back(start(*engine, std::move(prompt), kOutputTokens));
      }
      for (Asked& one : asked) one.expect_right();
      EXPECT_TRUE(is_idle(*engine));
    }
  }
}

TEST(Reliability, ARequestAnswersAmongThirtyTwoMatesAsAlone) {
  const std::size_t num_pairs = scaled_count(2'000);
  std::mt19937 random(47);
  const auto engine = make_fake_engine(
      {.context_length = 256,
       .max_sequences = 33,
       .step_tokens = 80,
       .max_queue = 64,
       .runner = {.num_pages = 600, .page_size = 8},
       .ring = {.capacity = 3}}
  );
  for (std::size_t pair = 0; pair < num_pairs; ++pair) {
    std::vector<Asked> mates;
    for (int i = 0; i < 33; ++i) {
      const auto num_tokens = static_cast<int>(1 + random() % 24);
      mates.push_back(start(*engine, random_prompt(random, 60), num_tokens));
    }
    for (Asked& mate : mates) mate.expect_right();
  }
  EXPECT_TRUE(is_idle(*engine));
}

// Spoils the logits of requests whose prompt has an '!' at its end, at output token `at`.
void spoil(const Batch& batch, StepResult& result, std::size_t at) {
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    const BatchSample& sample = batch.samples[i];
    const std::size_t num_outputs = sample.output_ids.size() + sample.in_flight.size();
    if (sample.prompt_ids.back() == '!' && num_outputs == at) result.tokens[i].is_finite = false;
  }
}

TEST(Reliability, ARowThatIsNotFiniteFailsItsRequestAndIsNotCached) {
  const std::size_t num_rounds = scaled_count(500);
  std::mt19937 random(53);
  // Steps may still be in flight when an answer is complete.
  std::atomic<bool> is_spoilt = true;
  std::atomic<std::size_t> at = 0;
  FakeEngineOptions options{
      .context_length = 256,
      .max_sequences = 32,
      .step_tokens = 64,
      .max_queue = 64,
      .runner = {.num_pages = 600, .page_size = 8},
      .ring = {.capacity = 2}
  };
  options.runner.after_step = [&](const Batch& batch, StepResult& result) {
    if (is_spoilt) spoil(batch, result, at);
  };
  const auto engine = make_fake_engine(options);
  for (std::size_t round = 0; round < num_rounds; ++round) {
    at = random() % 4;
    is_spoilt = true;
    // A third of them come after a prefix hit. Of other rounds none has more than the number.
    const std::string prefix = std::to_string(round) + ":" + random_prompt(random, 60);
    const bool is_after_hit = round % 3 == 0;
    if (is_after_hit) (void)ask(*engine, text_request(prefix, 2));
    std::vector<Asked> mates;
    for (int i = 0; i < 31; ++i) mates.push_back(start(*engine, random_prompt(random, 40), 6));
    const std::string prompt = prefix + random_prompt(random, 40) + "!";
    const Answer bad = ask(*engine, text_request(prompt, 8));
    ASSERT_EQ(bad.finish.reason, FinishReason::error);
    EXPECT_EQ(bad.finish.error->code(), ErrorCode::numerical_error);
    EXPECT_EQ(bad.text, expected_text(prompt, static_cast<int>(at.load())));
    for (Asked& mate : mates) mate.expect_right();
    is_spoilt = false;
    const Answer good = ask(*engine, text_request(prompt, 8));
    EXPECT_EQ(good.text, expected_text(prompt, 8));
    const int shared = is_after_hit ? static_cast<int>(prefix.size()) + 2 : 3;
    EXPECT_LE(good.finish.usage.cached_tokens, shared);
  }
  EXPECT_TRUE(is_idle(*engine));
}

TEST(Reliability, WhatIsNotFiniteIsNotCachedByThoseWhoSharedIt) {
  std::atomic<bool> is_spoilt = true;
  FakeEngineOptions options{
      .context_length = 512, .step_tokens = 16, .runner = {.num_pages = 400, .page_size = 8}
  };
  options.runner.after_step = [&](const Batch& batch, StepResult& result) {
    if (is_spoilt) spoil(batch, result, 0);
  };
  const auto engine = make_fake_engine(options);
  const std::string prompt = std::string(120, 'P') + "!";
  std::vector<Generation> same;
  for (int i = 0; i < 3; ++i) same.push_back(engine->submit(text_request(prompt, 8)));
  for (Generation& generation : same)
    EXPECT_EQ(read_all(generation).finish.reason, FinishReason::error);
  is_spoilt = false;
  const Answer good = ask(*engine, text_request(prompt, 8));
  EXPECT_EQ(good.text, expected_text(prompt, 8));
  EXPECT_EQ(good.finish.usage.cached_tokens, 0);
}

// A device whose errors come one call late: the step is lost, its handle gives tokens that mean
// nothing, and the next call throws.
class LateRunner final : public Runner {
 public:
  LateRunner(std::unique_ptr<Runner> inner, const std::uint64_t& lost_step)
      : inner_(std::move(inner)), lost_step_(lost_step) {}

  std::unique_ptr<Submission> submit(const Batch& batch) override {
    if (std::exchange(is_due_, false)) throw std::runtime_error("an earlier step was lost");
    auto submission = inner_->submit(batch);
    if (batch.step != lost_step_) return submission;
    is_due_ = true;
    return std::make_unique<Lost>(std::move(submission));
  }
  std::vector<std::byte> read_page(int group, std::int32_t page) override {
    return inner_->read_page(group, page);
  }
  void write_page(int group, std::int32_t page, std::span<const std::byte> content) override {
    inner_->write_page(group, page, content);
  }
  std::int64_t page_bytes(int group) const override { return inner_->page_bytes(group); }

 private:
  class Lost final : public Submission {
   public:
    explicit Lost(std::unique_ptr<Submission> inner) : inner_(std::move(inner)) {}
    bool wait_for(std::chrono::nanoseconds timeout) override { return inner_->wait_for(timeout); }
    StepResult take() override {
      StepResult result = inner_->take();
      for (SampledToken& token : result.tokens) token.id = '#';
      return result;
    }

   private:
    std::unique_ptr<Submission> inner_;
  };

  std::unique_ptr<Runner> inner_;
  const std::uint64_t& lost_step_;
  bool is_due_ = false;
};

TEST(Reliability, AnErrorThatComesLateFailsEveryStepThatItMayConcern) {
  const std::size_t num_rounds = scaled_count(200);
  std::mt19937 random(61);
  for (std::size_t round = 0; round < num_rounds; ++round) {
    const std::uint64_t lost_step = 2 + random() % 30;
    FakeEngineOptions options{
        .context_length = 256,
        .max_sequences = 8,
        .step_tokens = 32,
        .runner = {.num_pages = 400, .page_size = 8},
        .ring = {.capacity = 2}
    };
    options.wrap_runner = [&lost_step](std::unique_ptr<Runner> inner) -> std::unique_ptr<Runner> {
      return std::make_unique<LateRunner>(std::move(inner), lost_step);
    };
    const auto engine = make_fake_engine(options);
    std::vector<Asked> asked;
    for (int i = 0; i < 8; ++i) asked.push_back(start(*engine, random_prompt(random, 40), 40));
    std::size_t num_failed = 0;
    for (Asked& one : asked) {
      const Answer answer = read_all(one.generation);
      num_failed += answer.finish.reason == FinishReason::error ? 1 : 0;
      const std::string expected = expected_text(one.prompt, one.num_tokens);
      EXPECT_TRUE(expected.starts_with(answer.text)) << answer.text;
      // FakeRunner's rows read back what is cached, so a wrong page is an error here.
      EXPECT_EQ(ask(*engine, text_request(one.prompt, 40)).text, expected);
    }
    EXPECT_GE(num_failed, 1U);
    EXPECT_TRUE(is_idle(*engine));
  }
}

}  // namespace
}  // namespace mlxs
