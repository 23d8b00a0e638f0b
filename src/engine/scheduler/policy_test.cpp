// What the policy promises, measured on a simulated device in virtual time.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "engine/testing/simulator.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

SchedulerOptions options(int max_sequences, int num_pages) {
  return {
      .max_sequences = max_sequences,
      .step_tokens = 512,
      .cache = {.page_size = 16, .groups = {{.num_pages = num_pages}}},
      .max_waiting = 100'000
  };
}

// Prompts of different seeds differ from their first token on.
std::vector<std::int32_t> prompt(int num_tokens, int seed) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(num_tokens));
  std::iota(ids.begin(), ids.end(), seed * 100'000);
  return ids;
}

// A prompt of its own for each time of arrival.
SimRequest request(double arrives_s, int num_prompt, int num_output) {
  std::mt19937 random(static_cast<unsigned>(arrives_s * 1e7));
  SimRequest one{.arrives_s = arrives_s, .num_output = num_output};
  for (int i = 0; i < num_prompt; ++i)
    one.prompt_ids.push_back(static_cast<std::int32_t>(random() % 100'000));
  return one;
}

std::vector<double> gaps_after(const SimOutcome& outcome, double from_s, double to_s) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < outcome.token_s.size(); ++i) {
    if (outcome.token_s[i] > from_s && outcome.token_s[i] <= to_s)
      gaps.push_back(outcome.token_s[i] - outcome.token_s[i - 1]);
  }
  return gaps;
}

TEST(Policy, ALongPromptAtMostDoublesTheTimeBetweenTokens) {
  Simulator simulator(options(16, 4096));
  std::vector<SequenceId> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(simulator.send(request(0.001 * i, 20, 2000)));
  const SequenceId intruder = simulator.send(request(2.0, 4096, 1));
  simulator.run();
  const double done_s = simulator.outcome(intruder).token_s.at(0);
  std::vector<double> quiet;
  std::vector<double> disturbed;
  for (const SequenceId id : streams) {
    const auto before = gaps_after(simulator.outcome(id), 1.0, 2.0);
    quiet.insert(quiet.end(), before.begin(), before.end());
    const auto during = gaps_after(simulator.outcome(id), 2.0, done_s);
    disturbed.insert(disturbed.end(), during.begin(), during.end());
  }
  ASSERT_GT(disturbed.size(), 80U);  // it took many steps
  EXPECT_LE(percentile(disturbed, 0.95), 2.0 * percentile(quiet, 0.95));
  EXPECT_LE(*std::ranges::max_element(disturbed), 2.5 * percentile(quiet, 0.95));
  // Nor does it starve: its rows get what was promised.
  EXPECT_LT(done_s - 2.0, 2.0);
}

TEST(Policy, ATargetBetweenTokensIsKept) {
  SchedulerOptions with_target = options(16, 4096);
  with_target.target_itl_ms = 20.0;
  Simulator simulator(with_target);
  const SequenceId stream = simulator.send(request(0.0, 20, 1000));
  const SequenceId intruder = simulator.send(request(1.0, 4096, 1));
  simulator.run();
  const double done_s = simulator.outcome(intruder).token_s.at(0);
  const auto gaps = gaps_after(simulator.outcome(stream), 1.05, done_s);
  EXPECT_NEAR(percentile(gaps, 0.5), 0.020, 0.002);
  EXPECT_LE(percentile(gaps, 0.95), 0.022);
}

TEST(Policy, APromptProgressesEvenWhereTheTargetCannotBeMet) {
  SchedulerOptions with_target = options(16, 4096);
  with_target.target_itl_ms = 0.001;
  Simulator simulator(with_target);
  (void)simulator.send(request(0.0, 20, 2000));
  const SequenceId intruder = simulator.send(request(0.5, 320, 1));
  simulator.run(1.0);
  EXPECT_EQ(simulator.outcome(intruder).end, SimEnd::finished);
}

// Requests of two classes. The high one alone keeps the device about half busy; with the low one it
// is far more than it can do.
std::vector<SequenceId> send_two_classes(Simulator& simulator, int num_low) {
  std::mt19937 random(9);
  std::exponential_distribution<double> pause(6.0);
  std::vector<SequenceId> high;
  double arrives_s = 1.0;
  while (arrives_s < 31.0) {
    arrives_s += pause(random);
    SimRequest urgent = request(arrives_s, 200 + static_cast<int>(random() % 400), 30);
    urgent.priority = 10;
    urgent.key = "high";
    high.push_back(simulator.send(urgent));
  }
  for (int i = 0; i < num_low; ++i) (void)simulator.send(request(0.00037 + 0.05 * i, 400, 100));
  return high;
}

double p95_ttft(const Simulator& simulator, const std::vector<SequenceId>& ids) {
  std::vector<double> ttfts;
  for (const SequenceId id : ids) ttfts.push_back(simulator.outcome(id).ttft_s());
  return percentile(ttfts, 0.95);
}

TEST(Policy, TheHighClassKeepsItsTimeToFirstTokenUnderOverload) {
  Simulator alone(options(16, 2048));
  const auto high_alone = send_two_classes(alone, 0);
  alone.run();
  Simulator crowded(options(16, 2048));
  const auto high = send_two_classes(crowded, 700);
  crowded.run(35.0);
  EXPECT_GT(crowded.scheduler().num_waiting(), 50);  // it is an overload
  EXPECT_LE(p95_ttft(crowded, high), 1.3 * p95_ttft(alone, high_alone));
}

// Token-time of the keys while both always have something waiting.
std::map<std::string, double> token_times(const SchedulerOptions& with_options, double until_s) {
  Simulator simulator(with_options);
  for (int i = 0; i < 2000; ++i) {
    SimRequest flood = request(0.00001 * i, 100 + i % 50, 40);
    flood.key = "flood";
    (void)simulator.send(flood);
  }
  for (int i = 0; i < 1000; ++i) {
    SimRequest modest = request(0.000013 + 0.00001 * i, 150 + i % 100, 60);
    modest.key = "modest";
    (void)simulator.send(modest);
  }
  simulator.run(until_s);
  std::map<std::string, double> times;
  for (const KeyShare& share : simulator.scheduler().key_shares()) {
    EXPECT_GT(share.num_waiting, 0);
    times[share.key] = share.token_time_ms;
  }
  return times;
}

TEST(Policy, KeysOfEqualWeightGetEqualTime) {
  const auto times = token_times(options(16, 2048), 40.0);
  EXPECT_NEAR(times.at("flood") / times.at("modest"), 1.0, 0.1);
}

TEST(Policy, KeysGetTimeByTheirWeights) {
  SchedulerOptions weighted = options(16, 2048);
  weighted.key_weights = {{"flood", 1.0}, {"modest", 3.0}};
  const auto times = token_times(weighted, 40.0);
  EXPECT_NEAR(times.at("modest") / times.at("flood"), 3.0, 0.3);
}

TEST(Policy, OneWhoSendsTenTimesMoreGetsNoMore) {
  Simulator simulator(options(16, 2048));
  for (int i = 0; i < 1000; ++i) {
    SimRequest greedy = request(0.02 * i, 200, 100);
    greedy.key = "greedy";
    (void)simulator.send(greedy);
    if (i % 10 != 0) continue;
    SimRequest modest = request(0.0000213 + 0.02 * i, 200, 1000);  // long answers: enough to do
    modest.key = "modest";
    (void)simulator.send(modest);
  }
  simulator.run(20.0);
  const auto shares = simulator.scheduler().key_shares();
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares[0].token_time_ms / shares[1].token_time_ms, 1.0, 0.1);
}

TEST(Policy, AKeyThatWasIdleHasSavedNothing) {
  Simulator simulator(options(4, 2048));
  for (int i = 0; i < 400; ++i) {
    SimRequest busy = request(0.0001 * i, 100, 40);
    busy.key = "busy";
    (void)simulator.send(busy);
    SimRequest late = request(10.0 + 0.0001 * i, 100, 40);
    late.key = "late";
    (void)simulator.send(late);
  }
  simulator.run(10.0);
  const double before_ms = simulator.scheduler().key_shares().at(0).token_time_ms;
  simulator.run(20.0);
  const auto shares = simulator.scheduler().key_shares();
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_NEAR((shares[0].token_time_ms - before_ms) / shares[1].token_time_ms, 1.0, 0.15);
}

TEST(Policy, WhatCannotBeInTimeIsRefusedAtOnceWithThePrediction) {
  Simulator simulator(options(4, 2048));
  for (int i = 0; i < 200; ++i) (void)simulator.send(request(0.001 * i, 400, 100));
  SimRequest hurried = request(5.0, 400, 10);
  hurried.ttft_deadline_s = 0.5;
  const SequenceId refused = simulator.send(hurried);
  SimRequest hopeless = request(5.00001, 15'000, 10);
  hopeless.ttft_deadline_s = 0.5;
  const SequenceId impossible = simulator.send(hopeless);
  SimRequest patient = request(5.00002, 400, 10);
  patient.ttft_deadline_s = 500.0;
  const SequenceId accepted = simulator.send(patient);
  simulator.run();
  const Admission& admission = simulator.outcome(refused).admission;
  EXPECT_EQ(admission.refusal, ErrorCode::overloaded);
  EXPECT_GT(admission.predicted_ttft_ms, 500.0);
  EXPECT_GE(admission.retry_after_s, 1.0);
  EXPECT_NE(std::string(refusal_error(admission).what()).find("retry in"), std::string::npos);
  EXPECT_EQ(simulator.outcome(impossible).admission.refusal, ErrorCode::deadline_exceeded);
  EXPECT_EQ(simulator.outcome(impossible).admission.retry_after_s, 0.0);
  EXPECT_EQ(simulator.outcome(accepted).end, SimEnd::finished);
  // The prediction is of the right size.
  const double truth_s = simulator.outcome(accepted).ttft_s();
  const double predicted_s = simulator.outcome(accepted).admission.predicted_ttft_ms / 1e3;
  EXPECT_GT(predicted_s, 0.5 * truth_s);
  EXPECT_LT(predicted_s, 2.0 * truth_s);
}

TEST(Policy, EveryRequestMeetsItsDeadlineOrIsTold) {
  Simulator simulator(options(4, 2048));
  for (int i = 0; i < 400; ++i) {
    SimRequest hurried = request(0.02 * i, 300, 50);
    hurried.ttft_deadline_s = 1.0;
    (void)simulator.send(hurried);
  }
  simulator.run();
  int num_finished = 0;
  for (const auto& [id, outcome] : simulator.outcomes()) {
    ASSERT_NE(outcome.end, SimEnd::open);
    if (outcome.end != SimEnd::finished) continue;
    ++num_finished;
    EXPECT_LE(outcome.ttft_s(), 1.05) << id;
  }
  EXPECT_GT(num_finished, 80);
  EXPECT_LT(num_finished, 400);
}

class PolicyPreemption : public testing::TestWithParam<PreemptionKind> {};

// Everything at once asks for ten times the pages that there are.
TEST_P(PolicyPreemption, ATenthOfThePagesIsEnoughForAllToFinish) {
  std::mt19937 random(5);
  SchedulerOptions small = options(64, 0);
  small.preemption = GetParam();
  small.host_pages = GetParam() == PreemptionKind::swap ? 40 : 0;
  std::vector<SimRequest> requests;
  int pages_asked = 0;
  for (int i = 0; i < 64; ++i) {
    SimRequest one = request(
        0.0001 * i, 10 + static_cast<int>(random() % 150), 50 + static_cast<int>(random() % 150)
    );
    one.priority = static_cast<int>(random() % 3);
    pages_asked += pages_for(static_cast<int>(one.prompt_ids.size()) + one.num_output, 16);
    requests.push_back(one);
  }
  small.cache.groups = {{.num_pages = pages_asked / 10}};
  Simulator simulator(small);
  for (const SimRequest& one : requests) (void)simulator.send(one);
  simulator.run();
  for (const auto& [id, outcome] : simulator.outcomes()) {
    EXPECT_EQ(outcome.end, SimEnd::finished) << id;
    EXPECT_LE(outcome.num_preemptions, small.max_preemptions + 1) << id;
  }
  const SchedulerStats stats = simulator.scheduler().stats();
  EXPECT_GT(GetParam() == PreemptionKind::swap ? stats.num_swaps : stats.num_recomputes, 5U);
  EXPECT_EQ(simulator.scheduler().cache().counts(0).used, 0);
  EXPECT_EQ(stats.host_pages_used, 0);
  simulator.scheduler().check();
}

INSTANTIATE_TEST_SUITE_P(
    Kinds,
    PolicyPreemption,
    testing::Values(PreemptionKind::recompute, PreemptionKind::swap),
    [](const auto& kind) {
      return kind.param == PreemptionKind::swap ? std::string("Swap") : std::string("Recompute");
    }
);

TEST(Policy, WindowedGroupsFinishOnFewPages) {
  SchedulerOptions windowed = options(16, 120);
  windowed.cache.groups.push_back({.num_pages = 24, .window = 40});
  windowed.preemption = PreemptionKind::swap;  // not with windows: it recomputes
  windowed.host_pages = 30;
  Simulator simulator(windowed);
  for (int i = 0; i < 40; ++i) (void)simulator.send(request(0.0001 * i, 30 + 7 * i, 60));
  simulator.run();
  for (const auto& [id, outcome] : simulator.outcomes())
    EXPECT_EQ(outcome.end, SimEnd::finished) << id;
  EXPECT_EQ(simulator.scheduler().stats().num_swaps, 0U);
  EXPECT_GT(simulator.scheduler().stats().num_recomputes, 0U);
  simulator.scheduler().check();
}

TEST(Policy, EqualPromptsInFlightPrefillOnce) {
  Simulator simulator(options(32, 4096));
  for (int i = 0; i < 32; ++i) {
    SimRequest one{.num_output = 8, .prompt_ids = prompt(1024, 1)};
    const auto own = prompt(32, 100 + i);
    one.prompt_ids.insert(one.prompt_ids.end(), own.begin(), own.end());
    (void)simulator.send(one);
  }
  simulator.run();
  int cached = 0;
  for (const auto& [id, outcome] : simulator.outcomes()) cached += outcome.num_cached_tokens;
  EXPECT_GE(cached, 31 * 1024);
  EXPECT_LE(simulator.num_prefill_rows(), 1056U + 31U * 32U);
}

TEST(Policy, TheLeaderInheritsTheUrgencyOfThoseWhoWaitForIt) {
  SchedulerOptions slow = options(32, 4096);
  slow.step_tokens = 64;
  Simulator simulator(slow);
  SimRequest leader{.num_output = 2, .prompt_ids = prompt(1600, 1), .priority = -5};
  (void)simulator.send(leader);
  for (int i = 0; i < 20; ++i) (void)simulator.send(request(0.02 + 0.001 * i, 1600, 2));
  SimRequest follower = leader;
  follower.arrives_s = 0.05;
  follower.priority = 5;
  const SequenceId urgent = simulator.send(follower);
  simulator.run();
  // Alone, 1,600 rows in steps of 64 take about 0.26 s.
  EXPECT_LT(simulator.outcome(urgent).ttft_s(), 0.6);
  EXPECT_GE(simulator.outcome(urgent).num_cached_tokens, 1584);
}

TEST(Policy, NobodyStarvesBehindAnEndlessHighClass) {
  SchedulerOptions aging = options(4, 2048);
  aging.aging_ms = 2000.0;
  Simulator simulator(aging);
  for (int i = 0; i < 4000; ++i) {
    SimRequest urgent = request(0.005 * i, 100, 30);
    urgent.priority = 100;
    (void)simulator.send(urgent);
  }
  SimRequest humble = request(0.5, 300, 50);
  humble.priority = -100;
  const SequenceId id = simulator.send(humble);
  simulator.run(19.0);
  EXPECT_GT(simulator.scheduler().num_waiting(), 100);
  EXPECT_EQ(simulator.outcome(id).end, SimEnd::finished);
  EXPECT_GT(simulator.scheduler().stats().num_aged_starts, 0U);
}

TEST(Policy, WithoutAgingPrioritiesAreStrict) {
  SchedulerOptions strict = options(4, 2048);
  strict.aged_share = 0;
  Simulator simulator(strict);
  for (int i = 0; i < 4000; ++i) {
    SimRequest urgent = request(0.005 * i, 100, 30);
    urgent.priority = 100;
    (void)simulator.send(urgent);
  }
  const SequenceId humble = simulator.send(request(0.5, 300, 50));
  simulator.run(19.0);
  EXPECT_EQ(simulator.outcome(humble).end, SimEnd::open);
}

TEST(Policy, AnUrgentRequestTakesThePlaceOfTheLeastUrgent) {
  Simulator simulator(options(2, 2048));
  SimRequest low = request(0.0, 50, 400);
  const SequenceId older = simulator.send(low);
  low.arrives_s = 0.01;
  low.prompt_ids = prompt(50, 3);
  low.priority = -1;
  const SequenceId least = simulator.send(low);
  SimRequest urgent = request(1.0, 50, 10);
  urgent.priority = 1;
  const SequenceId high = simulator.send(urgent);
  simulator.run();
  EXPECT_LT(simulator.outcome(high).ttft_s(), 0.05);
  EXPECT_EQ(simulator.outcome(older).num_preemptions, 0);
  EXPECT_EQ(simulator.outcome(least).num_preemptions, 1);
  EXPECT_EQ(simulator.outcome(least).end, SimEnd::finished);
}

TEST(Policy, StepsAreNeverLargerThanAllowed) {
  Simulator simulator(options(32, 4096));
  for (int i = 0; i < 60; ++i) (void)simulator.send(request(0.003 * i, 900, 30));
  simulator.run();
  EXPECT_LE(simulator.max_rows_of_a_step(), 512U);
  EXPECT_GE(simulator.max_rows_of_a_step(), 256U);
}

}  // namespace
}  // namespace mlxs
