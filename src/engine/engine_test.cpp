#include "mlx_serving/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/testing/fake_engine.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;

std::vector<std::int32_t> ids_of(const std::string& text) { return {text.begin(), text.end()}; }

Request text_request(const std::string& text, int max_tokens) {
  Request request;
  request.prompt = ids_of(text);
  request.sampling.temperature = 0.0F;
  request.stop.max_tokens = max_tokens;
  return request;
}

// What the fake model says after `prompt`.
std::string expected_text(const std::string& prompt, int num_tokens, std::uint64_t seed = 0) {
  auto ids = ids_of(prompt);
  std::string text;
  for (int i = 0; i < num_tokens; ++i) {
    ids.push_back(FakeRunner::next_token(ids, seed));
    text.push_back(static_cast<char>(ids.back()));
  }
  return text;
}

struct Answer {
  int prompt_tokens = -1;
  std::string text;
  std::vector<std::int32_t> token_ids;
  Finish finish;
};

Answer read_all(Generation& generation) {
  Answer answer;
  while (auto event = generation.next()) {
    if (event->prompt_tokens) answer.prompt_tokens = *event->prompt_tokens;
    answer.text += event->text;
    answer.token_ids.insert(
        answer.token_ids.end(), event->token_ids.begin(), event->token_ids.end()
    );
    if (event->finish) answer.finish = *event->finish;
  }
  return answer;
}

Answer ask(Engine& engine, Request request) {
  Generation generation = engine.submit(std::move(request));
  return read_all(generation);
}

void expect_idle(const Engine& engine) {
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_running, 0);
  EXPECT_EQ(stats.num_waiting, 0);
  EXPECT_EQ(stats.num_free_pages + stats.num_cached_pages, stats.num_pages);
}

TEST(Engine, AnswersAndCounts) {
  const auto engine = make_fake_engine();
  const Answer answer = ask(*engine, text_request("hello", 10));
  EXPECT_EQ(answer.text, expected_text("hello", 10));
  EXPECT_EQ(answer.prompt_tokens, 5);
  EXPECT_EQ(answer.token_ids.size(), 10U);
  EXPECT_EQ(answer.finish.reason, FinishReason::length);
  EXPECT_EQ(answer.finish.usage.prompt_tokens, 5);
  EXPECT_EQ(answer.finish.usage.completion_tokens, 10);
  EXPECT_EQ(answer.finish.usage.cached_tokens, 0);
  EXPECT_GE(answer.finish.timings.prefill_ms, 0.0);
  expect_idle(*engine);
  EXPECT_EQ(engine->stats().num_requests_finished, 1U);
  EXPECT_EQ(engine->stats().num_step_tokens, 5U + 9U);
}

TEST(Engine, ManyRequestsAtOnceAnswerAsAlone) {
  const auto engine = make_fake_engine();
  std::vector<std::pair<std::string, Generation>> generations;
  for (int i = 0; i < 50; ++i) {
    const std::string prompt =
        "prompt number " + std::to_string(i * i) + std::string(static_cast<std::size_t>(i), 'x');
    generations.emplace_back(prompt, engine->submit(text_request(prompt, 20)));
  }
  for (auto& [prompt, generation] : generations)
    EXPECT_EQ(read_all(generation).text, expected_text(prompt, 20));
  expect_idle(*engine);
}

TEST(Engine, RendersTheTemplate) {
  const auto engine = make_fake_engine();
  Request request = text_request("", 4);
  request.prompt = ChatPrompt{.messages_json = R"([{"role":"user","content":"hi"}])"};
  const Answer answer = ask(*engine, std::move(request));
  EXPECT_EQ(answer.prompt_tokens, 20);  // <|role|>, "user:hi", <|turn|>, <|role|>, "assistant:"
  EXPECT_EQ(answer.finish.reason, FinishReason::length);
}

TEST(Engine, StopsAtTheEndToken) {
  const auto engine = make_fake_engine({.runner = {.num_pages = 512, .num_output_tokens = 5}});
  const Answer answer = ask(*engine, text_request("abc", 50));
  EXPECT_EQ(answer.text, expected_text("abc", 4));
  EXPECT_EQ(answer.finish.reason, FinishReason::stop);
  EXPECT_EQ(answer.finish.usage.completion_tokens, 5);
}

TEST(Engine, StopsBeforeAStopString) {
  const auto engine = make_fake_engine();
  const std::string whole = expected_text("abc", 20);
  Request request = text_request("abc", 20);
  request.stop.stop = {whole.substr(8, 3)};
  const Answer answer = ask(*engine, std::move(request));
  EXPECT_EQ(answer.text, whole.substr(0, whole.find(whole.substr(8, 3))));
  EXPECT_EQ(answer.finish.reason, FinishReason::stop);
  EXPECT_EQ(answer.finish.stop_string, whole.substr(8, 3));
}

TEST(Engine, StopsAtAStopTokenWithoutItsText) {
  const auto engine = make_fake_engine();
  const std::string whole = expected_text("abc", 20);
  Request request = text_request("abc", 20);
  request.stop.stop_token_ids = {whole[6]};
  const Answer answer = ask(*engine, std::move(request));
  EXPECT_EQ(answer.text, whole.substr(0, whole.find(whole[6])));
  EXPECT_EQ(answer.finish.reason, FinishReason::stop);
}

TEST(Engine, EqualSeedsGiveEqualTextAndOthersDiffer) {
  const auto engine = make_fake_engine();
  const auto sampled = [&engine](std::optional<std::uint64_t> seed) {
    Request request = text_request("abc", 12);
    request.sampling.temperature = 1.0F;
    request.sampling.seed = seed;
    return ask(*engine, std::move(request)).text;
  };
  EXPECT_EQ(sampled(5), sampled(5));
  EXPECT_EQ(sampled(5), expected_text("abc", 12, 5));
  EXPECT_NE(sampled(std::nullopt), sampled(std::nullopt));
}

TEST(Engine, ABadRequestIsRefusedInItsOwnStream) {
  const auto engine = make_fake_engine();
  Request hot = text_request("abc", 3);
  hot.sampling.temperature = 3.0F;
  Request longer = text_request("abc", 1000);
  Request raising = text_request("", 3);
  raising.prompt = ChatPrompt{.messages_json = R"([{"role":"raise","content":"no such role"}])"};
  Request broken = text_request("", 3);
  broken.prompt = ChatPrompt{.messages_json = R"([{"role":)"};

  const auto refusal = [&engine](Request request) {
    const Answer answer = ask(*engine, std::move(request));
    EXPECT_EQ(answer.finish.reason, FinishReason::error);
    EXPECT_EQ(answer.prompt_tokens, -1);
    return answer.finish.error.value();
  };
  EXPECT_EQ(refusal(std::move(hot)).param(), "temperature");
  EXPECT_EQ(refusal(std::move(longer)).code(), ErrorCode::context_length_exceeded);
  const Error raised = refusal(std::move(raising));
  EXPECT_EQ(raised.code(), ErrorCode::template_error);
  EXPECT_NE(std::string(raised.what()).find("no such role"), std::string::npos);
  EXPECT_EQ(refusal(std::move(broken)).code(), ErrorCode::invalid_request);
  expect_idle(*engine);
  EXPECT_EQ(ask(*engine, text_request("abc", 3)).text, expected_text("abc", 3));
}

TEST(Engine, CancellingFreesWithinAStepAndOthersGoOn) {
  const auto engine = make_fake_engine(
      {.context_length = 2000, .runner = {.num_pages = 2000, .step_time = milliseconds(1)}}
  );
  Generation neighbour = engine->submit(text_request("neighbour", 60));
  Generation cancelled = engine->submit(text_request("cancelled", 1900));
  while (!cancelled.next()->prompt_tokens) {
  }
  cancelled.cancel();
  const Answer rest = read_all(cancelled);
  EXPECT_EQ(rest.finish.reason, FinishReason::cancelled);
  EXPECT_LT(rest.finish.usage.completion_tokens, 1900);
  EXPECT_EQ(read_all(neighbour).text, expected_text("neighbour", 60));
  expect_idle(*engine);
}

// How many steps begin after the caller of the only request cancelled it.
int steps_after_cancelling(int in_flight_steps) {
  std::atomic<bool> is_cancelled = false;
  std::atomic<int> num_steps_after = 0;
  FakeEngineOptions options{
      .context_length = 2000,
      .runner = {.num_pages = 2000, .step_time = milliseconds(1)},
      .ring = {.capacity = in_flight_steps}
  };
  options.runner.before_step = [&](std::uint64_t) { num_steps_after += is_cancelled ? 1 : 0; };
  const auto engine = make_fake_engine(options);
  Generation generation = engine->submit(text_request("x", 1900));
  (void)generation.next();
  (void)generation.next();
  generation.cancel();
  is_cancelled = true;
  (void)read_all(generation);
  return num_steps_after;
}

TEST(Engine, ACancelledRequestCostsAtMostTheStepsInFlight) {
  EXPECT_LE(steps_after_cancelling(1), 1);
  EXPECT_LE(steps_after_cancelling(2), 2);
}

TEST(Engine, RandomDisconnectsLeaveNothingBehind) {
  std::mt19937 random(11);
  const auto engine =
      make_fake_engine({.context_length = 512, .max_queue = 200, .runner = {.num_pages = 600}});
  for (int round = 0; round < 100; ++round) {
    std::vector<Generation> generations;
    for (int i = 0; i < 6; ++i)
      generations.push_back(engine->submit(text_request("round " + std::to_string(i), 400)));
    const auto num_reads = random() % 30;
    for (std::size_t i = 0; i < num_reads; ++i)
      (void)generations[random() % generations.size()].try_next();
    if (round % 3 == 0) std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(engine->drain(milliseconds(20000)), 0);
  expect_idle(*engine);
}

TEST(Engine, AReaderThatStopsReadingPausesOnlyItself) {
  const auto engine = make_fake_engine({.context_length = 6000, .runner = {.num_pages = 4000}});
  Generation slow = engine->submit(text_request("slow", 5000));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (engine->health().has_pending_work && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_FALSE(engine->health().has_pending_work);
  EXPECT_EQ(ask(*engine, text_request("other", 30)).text, expected_text("other", 30));
  EXPECT_EQ(read_all(slow).text, expected_text("slow", 5000));
  expect_idle(*engine);
}

TEST(Engine, AFullQueueRefusesAndRecovers) {
  const auto engine = make_fake_engine(
      {.context_length = 2000,
       .max_sequences = 1,
       .max_queue = 3,
       .runner = {.num_pages = 600, .step_time = milliseconds(1)}}
  );
  std::vector<Generation> generations;
  for (int i = 0; i < 4; ++i) generations.push_back(engine->submit(text_request("x", 1900)));
  try {
    (void)engine->submit(text_request("x", 5));
    FAIL() << "the queue took one too many";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::rate_limit_exceeded);
  }
  for (Generation& generation : generations) {
    generation.cancel();
    (void)read_all(generation);
  }
  EXPECT_EQ(ask(*engine, text_request("x", 5)).text, expected_text("x", 5));
}

TEST(Engine, AFailedStepEndsItsRequestsAndTheNextOneWorks) {
  FakeEngineOptions options;
  options.runner.num_pages = 512;
  options.runner.before_step = [](std::uint64_t step) {
    if (step == 3) throw std::runtime_error("device lost");
  };
  const auto engine = make_fake_engine(options);
  const Answer answer = ask(*engine, text_request("abc", 20));
  EXPECT_EQ(answer.finish.reason, FinishReason::error);
  EXPECT_EQ(answer.finish.error->code(), ErrorCode::engine_error);
  EXPECT_EQ(answer.text, expected_text("abc", 3));
  EXPECT_EQ(engine->health().last_error, "device lost");
  expect_idle(*engine);
  EXPECT_EQ(ask(*engine, text_request("abc", 5)).text, expected_text("abc", 5));
}

TEST(Engine, ARowThatIsNotFiniteFailsAlone) {
  FakeEngineOptions options;
  options.runner.num_pages = 512;
  options.runner.after_step = [](const Batch& batch, StepResult& result) {
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      const auto& sample = batch.samples[i];
      result.tokens[i].is_finite = sample.prompt_ids.front() != 'N' ||
                                   sample.output_ids.size() + sample.in_flight.size() != 4;
    }
  };
  const auto engine = make_fake_engine(options);
  Generation good = engine->submit(text_request("good", 20));
  Generation bad = engine->submit(text_request("N", 20));
  const Answer answer = read_all(bad);
  EXPECT_EQ(answer.finish.error->code(), ErrorCode::numerical_error);
  EXPECT_EQ(answer.text, expected_text("N", 4));
  EXPECT_EQ(read_all(good).text, expected_text("good", 20));
  expect_idle(*engine);
}

TEST(Engine, DrainLetsRequestsFinishAndRefusesNewOnes) {
  const auto engine =
      make_fake_engine({.runner = {.num_pages = 512, .step_time = milliseconds(1)}});
  Generation generation = engine->submit(text_request("abc", 30));
  EXPECT_EQ(engine->drain(milliseconds(20000)), 0);
  EXPECT_EQ(read_all(generation).text, expected_text("abc", 30));
  EXPECT_THROW((void)engine->submit(text_request("abc", 3)), Error);
}

TEST(Engine, DrainCutsOffWhatTakesTooLong) {
  const auto engine = make_fake_engine(
      {.context_length = 2000, .runner = {.num_pages = 600, .step_time = milliseconds(5)}}
  );
  Generation generation = engine->submit(text_request("abc", 1900));
  EXPECT_EQ(engine->drain(milliseconds(30)), 1);
  const Answer answer = read_all(generation);
  EXPECT_EQ(answer.finish.reason, FinishReason::error);
  EXPECT_EQ(answer.finish.error->code(), ErrorCode::shutting_down);
  expect_idle(*engine);
}

TEST(Engine, ClosingEndsEveryStream) {
  auto engine = make_fake_engine(
      {.context_length = 2000,
       .max_sequences = 2,
       .runner = {.num_pages = 600, .step_time = milliseconds(1)}}
  );
  std::vector<Generation> generations;
  for (int i = 0; i < 10; ++i) generations.push_back(engine->submit(text_request("abc", 1900)));
  engine.reset();
  for (Generation& generation : generations) {
    EXPECT_EQ(read_all(generation).finish.error->code(), ErrorCode::shutting_down);
  }
}

TEST(Engine, HealthTellsAStuckStepFromAnIdleEngine) {
  std::atomic<bool> is_stuck = true;
  FakeEngineOptions options;
  options.runner.num_pages = 512;
  options.runner.before_step = [&is_stuck](std::uint64_t step) {
    while (step == 1 && is_stuck) std::this_thread::yield();
  };
  const auto engine = make_fake_engine(options);
  EXPECT_FALSE(engine->health().has_pending_work);
  Generation generation = engine->submit(text_request("abc", 5));
  while (engine->health().step == 0) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_TRUE(engine->health().has_pending_work);
  EXPECT_GE(engine->health().since_progress, milliseconds(25));
  is_stuck = false;
  EXPECT_EQ(read_all(generation).text, expected_text("abc", 5));
  EXPECT_FALSE(engine->health().has_pending_work);
}

TEST(Engine, TwoEnginesShareTheDeviceThread) {
  const auto first = make_fake_engine();
  const auto second = make_fake_engine();
  Generation one = first->submit(text_request("one", 50));
  Generation two = second->submit(text_request("two", 50));
  EXPECT_EQ(read_all(one).text, expected_text("one", 50));
  EXPECT_EQ(read_all(two).text, expected_text("two", 50));
}

TEST(Engine, ARunnerThatCannotBeMadeIsReportedToTheCaller) {
  FakeEngineOptions options;
  options.max_sequences = 100;
  options.step_tokens = 10;
  EXPECT_THROW((void)make_fake_engine(options), Error);
  EXPECT_EQ(ask(*make_fake_engine(), text_request("abc", 3)).text, expected_text("abc", 3));
}

TEST(Engine, TokenizesAndDetokenizes) {
  const auto engine = make_fake_engine();
  const auto ids = engine->tokenize("h\xc3\xa9llo");
  EXPECT_EQ(ids.size(), 6U);
  EXPECT_EQ(engine->detokenize(ids), "h\xc3\xa9llo");
  const std::vector<std::int32_t> unknown = {1, 100000};
  EXPECT_THROW((void)engine->detokenize(unknown), Error);
}

}  // namespace
}  // namespace mlxs
