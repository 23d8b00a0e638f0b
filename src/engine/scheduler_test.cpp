#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>
#include <set>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

Sequence make_sequence(SequenceId id, int num_prompt, int num_output) {
  Sequence sequence;
  sequence.id = id;
  sequence.token_ids.resize(static_cast<std::size_t>(num_prompt));
  std::iota(sequence.token_ids.begin(), sequence.token_ids.end(), 100);
  sequence.num_prompt_tokens = num_prompt;
  sequence.max_length = num_prompt + num_output;
  sequence.seed = id;
  return sequence;
}

SchedulerOptions options(int max_sequences, int step_tokens, int num_pages) {
  return {
      .max_sequences = max_sequences,
      .step_tokens = step_tokens,
      .num_pages = num_pages,
      .page_size = 4
  };
}

// Runs one step and lets every sample draw token 7.
Batch step(Scheduler& scheduler) {
  const Batch batch = scheduler.schedule();
  scheduler.mark_computed(batch);
  for (const BatchSample& sample : batch.samples) scheduler.append(sample.sequence, 7);
  return batch;
}

TEST(Scheduler, PrefillsThenDecodes) {
  Scheduler scheduler(options(2, 16, 8));
  scheduler.add(make_sequence(1, 3, 2));
  const Batch prefill = step(scheduler);
  EXPECT_EQ(prefill.token_ids, (std::vector<std::int32_t>{100, 101, 102}));
  EXPECT_EQ(prefill.positions, (std::vector<std::int32_t>{0, 1, 2}));
  ASSERT_EQ(prefill.samples.size(), 1U);
  EXPECT_EQ(prefill.samples[0].row, 2);
  EXPECT_EQ(prefill.samples[0].prompt_ids.size(), 3U);
  EXPECT_EQ(prefill.slices[0].pages.size(), 2U);

  const Batch decode = step(scheduler);
  EXPECT_EQ(decode.token_ids, (std::vector<std::int32_t>{7}));
  EXPECT_EQ(decode.positions, (std::vector<std::int32_t>{3}));
  EXPECT_EQ(decode.slices[0].context_length, 3);
}

TEST(Scheduler, ChunksALongPromptAndSamplesOnlyAtItsEnd) {
  Scheduler scheduler(options(1, 4, 8));
  scheduler.add(make_sequence(1, 10, 1));
  std::vector<std::int32_t> positions;
  for (const std::size_t num_samples : {0U, 0U, 1U}) {
    const Batch batch = step(scheduler);
    EXPECT_EQ(batch.samples.size(), num_samples);
    positions.insert(positions.end(), batch.positions.begin(), batch.positions.end());
  }
  std::vector<std::int32_t> expected(10);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(positions, expected);
}

TEST(Scheduler, DecodesComeBeforePrompts) {
  Scheduler scheduler(options(2, 4, 32));
  scheduler.add(make_sequence(1, 2, 8));
  (void)step(scheduler);
  scheduler.add(make_sequence(2, 9, 8));
  const Batch batch = step(scheduler);
  ASSERT_EQ(batch.slices.size(), 2U);
  EXPECT_EQ(batch.slices[0].sequence, 1U);
  EXPECT_EQ(batch.slices[0].num_rows, 1);
  EXPECT_EQ(batch.slices[1].num_rows, 3);
}

TEST(Scheduler, AdmitsInOrderAsPagesComeFree) {
  Scheduler scheduler(options(4, 16, 4));
  scheduler.add(make_sequence(1, 4, 8));  // 3 pages
  scheduler.add(make_sequence(2, 4, 4));  // 2 pages: waits
  scheduler.add(make_sequence(3, 1, 2));  // 1 page: waits behind 2
  EXPECT_EQ(step(scheduler).slices.size(), 1U);
  EXPECT_EQ(scheduler.num_waiting(), 2);
  EXPECT_TRUE(scheduler.remove(1));
  const Batch batch = step(scheduler);
  ASSERT_EQ(batch.slices.size(), 2U);
  EXPECT_EQ(batch.slices[0].sequence, 2U);
  EXPECT_EQ(batch.slices[1].sequence, 3U);
  EXPECT_EQ(scheduler.pool().num_free(), 1);
}

TEST(Scheduler, PausedSequencesAreNoWork) {
  Scheduler scheduler(options(2, 16, 8));
  scheduler.add(make_sequence(1, 3, 4));
  (void)step(scheduler);
  scheduler.set_paused(1, true);
  EXPECT_FALSE(scheduler.has_work());
  EXPECT_TRUE(scheduler.schedule().is_empty());
  scheduler.set_paused(1, false);
  EXPECT_TRUE(scheduler.has_work());
  EXPECT_EQ(step(scheduler).token_ids.size(), 1U);
}

TEST(Scheduler, RefusesWhatCannotRun) {
  EXPECT_THROW(Scheduler(options(0, 16, 8)), Error);
  EXPECT_THROW(Scheduler(options(8, 4, 8)), Error);
  EXPECT_THROW(Scheduler(options(1, 4, 0)), Error);
  Scheduler scheduler(options(1, 4, 2));
  EXPECT_TRUE(scheduler.fits(8));
  EXPECT_FALSE(scheduler.fits(9));
  EXPECT_THROW(scheduler.add(make_sequence(1, 5, 4)), std::logic_error);
  EXPECT_THROW(scheduler.add(make_sequence(1, 5, 0)), std::logic_error);
}

// Whatever happens, every token of every sequence is computed exactly once, in order, in its own
// pages.
TEST(Scheduler, RandomTrafficComputesEveryTokenOnce) {
  std::mt19937 random(3);
  Scheduler scheduler(options(4, 9, 24));
  std::map<SequenceId, int> next_position;
  SequenceId next_id = 1;
  for (int round = 0; round < 20000; ++round) {
    const auto action = random() % 10;
    if (action < 3 && scheduler.num_waiting() < 20) {
      const SequenceId id = next_id++;
      scheduler.add(make_sequence(
          id, 1 + static_cast<int>(random() % 40), 1 + static_cast<int>(random() % 20)
      ));
      next_position[id] = 0;
    } else if (action == 3 && !next_position.empty()) {
      const SequenceId id = next_position.begin()->first;
      ASSERT_TRUE(scheduler.remove(id));
      next_position.erase(id);
    }
    const Batch batch = scheduler.schedule();
    ASSERT_LE(batch.token_ids.size(), 9U);
    ASSERT_EQ(batch.is_empty(), !scheduler.has_work());
    std::set<std::int32_t> pages;
    for (const BatchSlice& slice : batch.slices) {
      ASSERT_EQ(slice.context_length, next_position.at(slice.sequence));
      next_position[slice.sequence] += slice.num_rows;
      for (const auto page : slice.pages) ASSERT_TRUE(pages.insert(page).second);
      ASSERT_GE(
          slice.pages.size() * 4, static_cast<std::size_t>(slice.context_length + slice.num_rows)
      );
    }
    scheduler.mark_computed(batch);
    for (const BatchSample& sample : batch.samples) {
      scheduler.append(sample.sequence, 7);
      const Sequence* sequence = scheduler.find(sample.sequence);
      if (sequence->num_tokens() < sequence->max_length) continue;
      next_position.erase(sample.sequence);
      ASSERT_TRUE(scheduler.remove(sample.sequence));
    }
  }
  for (const auto& entry : next_position) ASSERT_TRUE(scheduler.remove(entry.first));
  EXPECT_EQ(scheduler.pool().num_free(), 24);
  EXPECT_FALSE(scheduler.remove(next_id));
}

}  // namespace
}  // namespace mlxs
