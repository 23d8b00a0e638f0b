#include "engine/event_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace mlxs {
namespace {

std::shared_ptr<EventStream> make_stream() {
  return std::make_shared<EventStream>(std::make_shared<Doorbell>());
}

TEST(EventStream, FirstThePromptThenMergedDeltasThenNothing) {
  const auto stream = make_stream();
  EXPECT_FALSE(stream->try_next());
  stream->accept(5);
  stream->append(1, {.text = "a"});
  stream->append(2, {.text = "b"});
  stream->finish({.reason = FinishReason::length}, {.text = "c"});

  const auto first = stream->try_next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->prompt_tokens, 5);
  EXPECT_TRUE(first->token_ids.empty());
  const auto rest = stream->next();
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->text, "abc");
  EXPECT_EQ(rest->token_ids, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(rest->finish->reason, FinishReason::length);
  EXPECT_FALSE(stream->next());
  EXPECT_FALSE(stream->try_next());
}

TEST(EventStream, AReaderThatLagsIsSeenAndItsReturnRings) {
  const auto bell = std::make_shared<Doorbell>();
  EventStream stream(bell);
  stream.accept(1);
  for (int i = 0; i < EventStream::kMaxUnreadTokens; ++i) {
    EXPECT_FALSE(stream.is_backed_up());
    stream.append(i, {.text = "x"});
  }
  EXPECT_TRUE(stream.is_backed_up());
  (void)stream.try_next();
  const auto delta = stream.try_next();
  ASSERT_TRUE(delta);
  EXPECT_EQ(delta->text.size(), static_cast<std::size_t>(EventStream::kMaxUnreadTokens));
  EXPECT_FALSE(stream.is_backed_up());
  bell->wait();  // would hang had nobody rung
}

TEST(EventStream, WakesForEventsBeforeAndAfterTheSubscription) {
  const auto stream = make_stream();
  stream->accept(1);
  int num_wakes = 0;
  stream->on_ready([&num_wakes] { ++num_wakes; });
  EXPECT_EQ(num_wakes, 1);
  stream->append(1, {.text = "a"});
  EXPECT_EQ(num_wakes, 2);
  stream->on_ready({});
  stream->append(2, {.text = "b"});
  EXPECT_EQ(num_wakes, 2);
}

TEST(EventStream, DestroyingTheGenerationCancels) {
  const auto stream = make_stream();
  {
    Generation first(stream);
    Generation second(std::move(first));
    EXPECT_FALSE(stream->is_cancelled());
  }
  EXPECT_TRUE(stream->is_cancelled());
}

TEST(EventStream, AReaderOnAnotherThreadSeesEveryToken) {
  constexpr int kNumTokens = 20000;
  const auto stream = make_stream();
  std::thread writer([&stream] {
    stream->accept(1);
    for (int i = 0; i < kNumTokens; ++i) stream->append(i, {.text = "x"});
    stream->finish({}, {});
  });
  int num_tokens = 0;
  std::size_t num_bytes = 0;
  while (const auto event = stream->next()) {
    for (const auto id : event->token_ids) ASSERT_EQ(id, num_tokens++);
    num_bytes += event->text.size();
  }
  writer.join();
  EXPECT_EQ(num_tokens, kNumTokens);
  EXPECT_EQ(num_bytes, std::size_t{kNumTokens});
}

}  // namespace
}  // namespace mlxs
