#include "engine/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/testing/sim_device.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using namespace std::chrono_literals;

SchedulerOptions options(int max_sequences, int step_tokens, int num_pages) {
  return {
      .max_sequences = max_sequences,
      .step_tokens = step_tokens,
      .cache = {.page_size = 4, .groups = {{.num_pages = num_pages}}},
      .watermark = 0.0
  };
}

Sequence make_sequence(SequenceId id, int num_prompt, int num_output) {
  Sequence sequence;
  sequence.id = id;
  sequence.token_ids.resize(static_cast<std::size_t>(num_prompt));
  std::iota(sequence.token_ids.begin(), sequence.token_ids.end(), static_cast<int>(id) * 1000);
  sequence.num_prompt_tokens = num_prompt;
  sequence.max_length = num_prompt + num_output;
  sequence.seed = id;
  return sequence;
}

// A scheduler and its device, with steps in flight as the test wants them.
struct Rig {
  explicit Rig(const SchedulerOptions& scheduler_options)
      : scheduler(scheduler_options),
        device(scheduler_options.cache, scheduler_options.host_pages) {}

  void add(const Sequence& sequence) { ASSERT_TRUE(scheduler.add(sequence, now).is_accepted()); }

  Batch submit() {
    Batch batch = scheduler.schedule(now);
    if (!batch.is_empty()) flights.emplace_back(batch.step, device.run(batch));
    return batch;
  }

  std::vector<NewToken> collect() {
    const auto [step, tokens] = flights.front();
    flights.erase(flights.begin());
    now += 1ms;
    auto result =
        scheduler.complete({.step = step, .duration = 1ms, .completed_at = now, .tokens = tokens});
    scheduler.check();
    return result;
  }

  Batch step() {
    Batch batch = submit();
    if (!batch.is_empty()) (void)collect();
    return batch;
  }

  TimePoint now = TimePoint(1s);
  Scheduler scheduler;
  SimDevice device;
  std::vector<std::pair<std::uint64_t, std::vector<SampledToken>>> flights;
};

int num_rows(const Batch& batch) { return static_cast<int>(batch.token_ids.size()); }

TEST(Scheduler, PrefillsThenDecodes) {
  Rig rig(options(2, 16, 8));
  rig.add(make_sequence(1, 3, 2));
  const Batch prefill = rig.step();
  EXPECT_EQ(prefill.token_ids, (std::vector<std::int32_t>{1000, 1001, 1002}));
  EXPECT_EQ(prefill.positions, (std::vector<std::int32_t>{0, 1, 2}));
  ASSERT_EQ(prefill.samples.size(), 1U);
  EXPECT_EQ(prefill.samples[0].row, 2);

  const Batch decode = rig.step();
  EXPECT_EQ(decode.token_ids, (std::vector<std::int32_t>{rig.scheduler.find(1)->token_ids[3]}));
  EXPECT_EQ(decode.positions, (std::vector<std::int32_t>{3}));
  EXPECT_TRUE(decode.feeds.empty());
  EXPECT_TRUE(rig.step().is_empty());  // it is as long as it may be
  EXPECT_TRUE(rig.scheduler.remove(1, Keep::cached));
}

TEST(Scheduler, ChunksALongPromptAndSamplesOnlyAtItsEnd) {
  Rig rig(options(1, 4, 8));
  rig.add(make_sequence(1, 10, 1));
  std::vector<std::int32_t> positions;
  for (const std::size_t num_samples : {0U, 0U, 1U}) {
    const Batch batch = rig.step();
    EXPECT_EQ(batch.samples.size(), num_samples);
    positions.insert(positions.end(), batch.positions.begin(), batch.positions.end());
  }
  std::vector<std::int32_t> expected(10);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(positions, expected);
  EXPECT_EQ(rig.scheduler.find(1)->num_chunks, 3);
}

TEST(Scheduler, DecodesComeBeforePrompts) {
  Rig rig(options(2, 4, 32));
  rig.add(make_sequence(1, 2, 8));
  (void)rig.step();
  rig.add(make_sequence(2, 9, 8));
  const Batch batch = rig.step();
  ASSERT_EQ(batch.slices.size(), 2U);
  EXPECT_EQ(batch.slices[0].sequence, 1U);
  EXPECT_EQ(batch.slices[0].num_rows, 1);
  EXPECT_EQ(batch.slices[1].sequence, 2U);
  EXPECT_EQ(batch.slices[1].num_rows, 3);
}

TEST(Scheduler, DecodesStandStillForAMoreUrgentPromptButNotForLong) {
  Rig rig(options(2, 4, 32));
  rig.add(make_sequence(1, 2, 8));
  (void)rig.step();
  Sequence urgent = make_sequence(2, 17, 8);
  urgent.priority = 5;
  rig.add(urgent);
  for (int i = 0; i < 3; ++i) {
    const Batch batch = rig.step();
    ASSERT_EQ(batch.slices.size(), 1U);
    EXPECT_EQ(batch.slices[0].sequence, 2U);
  }
  const Batch both = rig.step();
  ASSERT_EQ(both.slices.size(), 2U);
  EXPECT_EQ(both.slices[0].sequence, 1U);
}

TEST(Scheduler, FeedsTokensThatAreInFlight) {
  Rig rig(options(1, 16, 8));
  rig.add(make_sequence(1, 3, 4));
  const Batch first = rig.submit();
  const Batch second = rig.submit();
  const Batch third = rig.submit();
  ASSERT_EQ(second.feeds.size(), 1U);
  EXPECT_EQ(second.feeds[0].step, first.step);
  EXPECT_EQ(second.feeds[0].sample, 0);
  EXPECT_EQ(second.positions, (std::vector<std::int32_t>{3}));
  ASSERT_EQ(third.samples.size(), 1U);
  EXPECT_EQ(third.samples[0].in_flight.size(), 2U);
  const Batch fourth = rig.submit();
  EXPECT_EQ(num_rows(fourth), 1);
  EXPECT_TRUE(rig.submit().is_empty());  // the fourth token is the last: known by counting
  for (int i = 0; i < 4; ++i) EXPECT_EQ(rig.collect().size(), 1U);
  EXPECT_EQ(rig.scheduler.find(1)->num_output_tokens(), 4);
}

TEST(Scheduler, WaitsForTheTokensOfASequenceThatNeedsThem) {
  Rig rig(options(2, 16, 16));
  Sequence careful = make_sequence(1, 3, 4);
  careful.needs_known_tokens = true;
  rig.add(careful);
  rig.add(make_sequence(2, 3, 4));
  EXPECT_EQ(rig.submit().slices.size(), 2U);
  const Batch second = rig.submit();  // the other goes on meanwhile
  ASSERT_EQ(second.slices.size(), 1U);
  EXPECT_EQ(second.slices[0].sequence, 2U);
  EXPECT_EQ(rig.collect().size(), 2U);
  const Batch third = rig.submit();
  ASSERT_EQ(third.slices.size(), 2U);
  for (const BatchSample& sample : third.samples) {
    EXPECT_EQ(sample.in_flight.empty(), sample.sequence == 1) << sample.sequence;
  }
  while (rig.scheduler.find(1)->num_output_tokens() < 4) {
    if (rig.submit().is_empty() || rig.flights.size() > 1) (void)rig.collect();
  }
}

TEST(Scheduler, RowsOfOneThatEndedLateCountForNothing) {
  Rig rig(options(2, 16, 8));
  rig.add(make_sequence(1, 3, 4));
  (void)rig.submit();
  (void)rig.submit();
  ASSERT_EQ(rig.collect().size(), 1U);
  EXPECT_TRUE(rig.scheduler.remove(1, Keep::cached));  // that was its end token
  EXPECT_TRUE(rig.collect().empty());
  EXPECT_EQ(rig.scheduler.cache().counts(0).used, 0);
}

TEST(Scheduler, NothingOfAFailedStepCounts) {
  Rig rig(options(4, 32, 32));
  rig.add(make_sequence(1, 8, 8));
  (void)rig.step();
  rig.add(make_sequence(2, 9, 4));
  const Batch failing = rig.scheduler.schedule(rig.now);
  rig.device.run_failing(failing);
  const Batch later = rig.scheduler.schedule(rig.now);
  ASSERT_EQ(later.slices.size(), 2U);
  EXPECT_EQ(rig.scheduler.fail(failing.step), (std::vector<SequenceId>{1, 2}));
  rig.scheduler.check();
  const std::vector<SampledToken> tokens(later.samples.size());
  EXPECT_TRUE(rig.scheduler.complete({.step = later.step, .tokens = tokens}).empty());
  EXPECT_EQ(rig.scheduler.find(1)->num_output_tokens(), 1);
  for (const SequenceId id : {1U, 2U}) EXPECT_TRUE(rig.scheduler.remove(id, Keep::nothing));
  // The prompt of 1 was computed by a step that succeeded and may be shared... but its sequence was
  // stopped without keeping; the prompt of 2 must not be.
  Sequence again = make_sequence(3, 9, 4);
  again.token_ids = make_sequence(2, 9, 4).token_ids;
  rig.add(again);
  EXPECT_EQ(rig.step().slices.at(0).context_length, 0);
}

TEST(Scheduler, ATokenThatIsNotFiniteEndsItsSequenceOnly) {
  Rig rig(options(2, 32, 32));
  rig.add(make_sequence(1, 4, 8));
  rig.add(make_sequence(2, 4, 8));
  const Batch batch = rig.scheduler.schedule(rig.now);
  ASSERT_EQ(batch.samples.size(), 2U);
  const std::vector<SampledToken> tokens{{.id = 5}, {.is_finite = false}};
  const auto counted = rig.scheduler.complete({.step = batch.step, .tokens = tokens});
  ASSERT_EQ(counted.size(), 2U);
  EXPECT_FALSE(counted[1].token.is_finite);
  EXPECT_EQ(rig.scheduler.find(2)->num_output_tokens(), 0);
  rig.scheduler.check();
  const Batch next = rig.scheduler.schedule(rig.now);
  ASSERT_EQ(next.slices.size(), 1U);
  EXPECT_EQ(next.slices[0].sequence, 1U);
}

TEST(Scheduler, AdmitsInOrderAsPlacesComeFree) {
  Rig rig(options(1, 16, 16));
  rig.add(make_sequence(1, 4, 8));
  rig.add(make_sequence(2, 4, 4));
  rig.add(make_sequence(3, 1, 2));
  EXPECT_EQ(rig.step().slices.size(), 1U);
  EXPECT_EQ(rig.scheduler.num_waiting(), 2);
  EXPECT_TRUE(rig.scheduler.remove(1, Keep::nothing));
  EXPECT_EQ(rig.step().slices.at(0).sequence, 2U);
}

TEST(Scheduler, PausedSequencesAreNoWorkAndMakeWay) {
  Rig rig(options(1, 16, 8));
  rig.add(make_sequence(1, 3, 4));
  (void)rig.step();
  rig.scheduler.set_paused(1, true);
  EXPECT_TRUE(rig.step().is_empty());
  EXPECT_EQ(rig.scheduler.num_running(), 1);
  rig.add(make_sequence(2, 3, 1));  // takes its place
  EXPECT_EQ(rig.step().slices.at(0).sequence, 2U);
  EXPECT_EQ(rig.scheduler.find(1)->num_recomputes, 1);
  rig.scheduler.set_paused(1, false);
  rig.scheduler.check();
  EXPECT_TRUE(rig.step().is_empty());
  EXPECT_TRUE(rig.scheduler.remove(2, Keep::cached));
  const Batch batch = rig.step();
  EXPECT_EQ(batch.slices.at(0).sequence, 1U);
  EXPECT_EQ(num_rows(batch), 4);  // its prompt and its token: no whole page was cached
}

TEST(Scheduler, UnpausedWithoutCompetitionItKeepsItsPages) {
  Rig rig(options(2, 16, 8));
  rig.add(make_sequence(1, 3, 4));
  (void)rig.step();
  rig.scheduler.set_paused(1, true);
  EXPECT_TRUE(rig.step().is_empty());
  rig.scheduler.set_paused(1, false);
  EXPECT_EQ(num_rows(rig.step()), 1);
}

TEST(Scheduler, ForksShareThePromptAndDrawTheirOwnTokens) {
  Rig rig(options(4, 32, 32));
  rig.add(make_sequence(1, 10, 3));
  for (SequenceId id = 2; id <= 3; ++id) {
    Sequence fork = make_sequence(1, 10, 3);
    fork.id = id;
    fork.seed = id;
    fork.fork_of = 1;
    rig.add(fork);
  }
  const Batch prompt = rig.submit();
  EXPECT_EQ(num_rows(prompt), 10);
  ASSERT_EQ(prompt.samples.size(), 3U);
  for (const BatchSample& sample : prompt.samples) EXPECT_EQ(sample.row, 9);
  (void)rig.submit();  // the parent goes on while its forks do not run yet
  EXPECT_EQ(rig.collect().size(), 3U);
  EXPECT_EQ(rig.scheduler.num_running(), 3);
  EXPECT_EQ(rig.scheduler.cache().counts(0).used, 3);  // 10 tokens, one set
  while (!rig.flights.empty()) (void)rig.collect();
  for (int i = 0; i < 3; ++i) (void)rig.step();
  for (SequenceId id = 1; id <= 3; ++id) {
    EXPECT_EQ(rig.scheduler.find(id)->num_output_tokens(), 3) << id;
    EXPECT_TRUE(rig.scheduler.remove(id, Keep::cached));
  }
  rig.scheduler.check();
  EXPECT_EQ(rig.scheduler.stats().num_prefill_rows, 10U);
}

// The page that both have is copied for the parent in the step that fails. What an earlier step
// computed in it must not be matched: it lies in the copy that was never made.
TEST(Scheduler, APageIsNotSharedBeforeTheStepThatCopiesItSucceeds) {
  Rig rig(options(4, 32, 32));
  rig.add(make_sequence(1, 7, 6));
  Sequence fork = make_sequence(1, 7, 6);
  fork.id = 2;
  fork.fork_of = 1;
  rig.add(fork);
  (void)rig.submit();  // the prompt: positions 0 to 6
  (void)rig.submit();  // the parent fills its second page
  (void)rig.collect();
  const Batch copying = rig.scheduler.schedule(rig.now);
  ASSERT_EQ(copying.copies.size(), 1U);
  EXPECT_EQ(copying.slices[0].pages->groups[0][1], copying.copies[0].to);  // the parent's
  rig.device.run_failing(copying);
  ASSERT_EQ(rig.collect().size(), 1U);
  Sequence same = make_sequence(3, 7, 6);
  same.token_ids = rig.scheduler.find(1)->token_ids;
  same.token_ids.push_back(5);
  same.num_prompt_tokens = same.num_tokens();
  same.max_length = same.num_tokens() + 1;
  rig.add(same);
  const Batch next = rig.scheduler.schedule(rig.now);
  const auto slice = std::ranges::find(next.slices, SequenceId{3}, &BatchSlice::sequence);
  ASSERT_NE(slice, next.slices.end());
  EXPECT_LE(slice->context_length, 4);
  EXPECT_EQ(rig.scheduler.fail(copying.step), (std::vector<SequenceId>{1, 2}));
}

TEST(Scheduler, AForkWithoutAPlaceQueuesWithItsToken) {
  Rig rig(options(1, 32, 32));
  rig.add(make_sequence(1, 9, 2));
  Sequence fork = make_sequence(1, 9, 2);
  fork.id = 2;
  fork.fork_of = 1;
  rig.add(fork);
  (void)rig.step();
  EXPECT_EQ(rig.scheduler.find(2)->num_output_tokens(), 1);
  EXPECT_EQ(rig.scheduler.num_running(), 1);
  (void)rig.step();
  EXPECT_TRUE(rig.scheduler.remove(1, Keep::cached));
  EXPECT_EQ(rig.step().slices.at(0).context_length, 8);  // two pages were cached
  EXPECT_EQ(rig.scheduler.find(2)->num_output_tokens(), 2);
}

TEST(Scheduler, RefusesWhatCannotRun) {
  EXPECT_THROW(Scheduler(options(0, 16, 8)), Error);
  EXPECT_THROW(Scheduler(options(8, 4, 8)), Error);
  EXPECT_THROW(Scheduler(options(1, 4, 0)), Error);
  SchedulerOptions weights = options(1, 4, 2);
  weights.key_weights["a"] = 0.0;
  EXPECT_THROW(Scheduler{weights}, Error);
  Scheduler scheduler(options(1, 4, 2));
  EXPECT_TRUE(scheduler.fits(8));
  EXPECT_FALSE(scheduler.fits(9));
  EXPECT_THROW((void)scheduler.add(make_sequence(1, 5, 4), {}), std::logic_error);
  EXPECT_THROW((void)scheduler.add(make_sequence(1, 5, 0), {}), std::logic_error);
  Sequence urgent = make_sequence(1, 4, 1);
  urgent.priority = kMaxPriority + 1;
  EXPECT_THROW((void)scheduler.add(urgent, {}), std::logic_error);
  EXPECT_THROW((void)scheduler.complete({.step = 1}), std::logic_error);
  EXPECT_THROW((void)scheduler.fail(1), std::logic_error);
  EXPECT_FALSE(scheduler.remove(1, Keep::cached));
}

TEST(Scheduler, AForkOfAnotherPromptIsABug) {
  Rig rig(options(2, 16, 8));
  rig.add(make_sequence(1, 3, 4));
  Sequence fork = make_sequence(2, 3, 4);
  fork.fork_of = 1;
  EXPECT_THROW((void)rig.scheduler.add(fork, rig.now), std::logic_error);
}

TEST(Scheduler, TheQueueIsBounded) {
  SchedulerOptions bounded = options(1, 16, 8);
  bounded.max_waiting = 2;
  Rig rig(bounded);
  for (SequenceId id = 1; id <= 2; ++id) rig.add(make_sequence(id, 3, 4));
  const Admission refused = rig.scheduler.add(make_sequence(3, 3, 4), rig.now);
  EXPECT_EQ(refused.refusal, ErrorCode::rate_limit_exceeded);
  EXPECT_GE(refused.retry_after_s, 1.0);
  EXPECT_EQ(rig.scheduler.find(3), nullptr);
  (void)rig.step();  // one of them runs
  EXPECT_TRUE(rig.scheduler.add(make_sequence(4, 3, 4), rig.now).is_accepted());
  EXPECT_EQ(rig.scheduler.stats().num_refused_queue_full, 1U);
}

TEST(Scheduler, ADeadlineThatHasPassedIsRefused) {
  Rig rig(options(1, 16, 8));
  Sequence late = make_sequence(1, 3, 4);
  late.deadline = rig.now;
  EXPECT_EQ(rig.scheduler.add(late, rig.now).refusal, ErrorCode::deadline_exceeded);
}

TEST(Scheduler, ExpiredSequencesAreToldOnce) {
  Rig rig(options(1, 16, 8));
  rig.add(make_sequence(1, 3, 8));
  (void)rig.submit();
  Sequence waiting = make_sequence(2, 3, 8);
  waiting.ttft_deadline = rig.now + 10ms;
  rig.add(waiting);
  Sequence running_late = make_sequence(3, 3, 8);
  running_late.deadline = rig.now + 20ms;
  rig.add(running_late);
  EXPECT_TRUE(rig.scheduler.expired(rig.now + 9ms).empty());
  EXPECT_EQ(rig.scheduler.expired(rig.now + 10ms), (std::vector<SequenceId>{2}));
  EXPECT_TRUE(rig.scheduler.expired(rig.now + 11ms).empty());
  EXPECT_EQ(rig.scheduler.expired(rig.now + 20ms), (std::vector<SequenceId>{3}));
  EXPECT_TRUE(rig.scheduler.remove(2, Keep::cached));
  rig.scheduler.check();
}

TEST(Scheduler, ADeadlineOfARunningSequenceExpiresToo) {
  Rig rig(options(1, 16, 8));
  Sequence sequence = make_sequence(1, 3, 8);
  sequence.deadline = rig.now + 10ms;
  sequence.ttft_deadline = rig.now + 5ms;
  rig.add(sequence);
  (void)rig.step();
  EXPECT_TRUE(rig.scheduler.expired(rig.now + 6ms).empty());  // its first token is there
  EXPECT_EQ(rig.scheduler.expired(rig.now + 10ms), (std::vector<SequenceId>{1}));
}

}  // namespace
}  // namespace mlxs
