#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace mlxs {
namespace {

TEST(BoundedQueue, RefusesWhenFullAndLeavesTheItem) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  // NOLINTNEXTLINE(bugprone-use-after-move): a refused item is left with its owner
  EXPECT_EQ(*second, 2);
}

TEST(BoundedQueue, DrainsAfterClose) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.try_push(1));
  queue.close();
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, PopUntilReturnsAtTheDeadline) {
  BoundedQueue<int> queue(1);
  EXPECT_EQ(queue.pop_until(std::chrono::steady_clock::now()), std::nullopt);
}

TEST(BoundedQueue, CarriesEveryItemOnceBetweenThreads) {
  constexpr int kNumItems = 10000;
  BoundedQueue<int> queue(8);
  std::thread producer([&queue] {
    for (int i = 1; i <= kNumItems;) {
      if (queue.try_push(int{i})) ++i;
    }
    queue.close();
  });
  long sum = 0;
  while (const auto item = queue.pop()) sum += *item;
  producer.join();
  EXPECT_EQ(sum, long{kNumItems} * (kNumItems + 1) / 2);
}

}  // namespace
}  // namespace mlxs
