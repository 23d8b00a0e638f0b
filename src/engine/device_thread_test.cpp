#include "engine/device_thread.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mlxs {
namespace {

class CountingWorker final : public DeviceWorker {
 public:
  explicit CountingWorker(int num_steps) : num_left_(num_steps) {}
  bool step() override {
    if (num_left_ == 0) return false;
    thread_ = std::this_thread::get_id();
    return --num_left_ >= 0;
  }
  [[nodiscard]] int num_left() const { return num_left_; }
  [[nodiscard]] std::thread::id thread() const { return thread_; }

 private:
  std::atomic<int> num_left_;
  std::thread::id thread_;
};

void wait_for(const CountingWorker& worker) {
  while (worker.num_left() > 0) std::this_thread::yield();
}

TEST(DeviceThread, IsSharedWhileAnybodyHoldsIt) {
  const auto first = DeviceThread::acquire();
  EXPECT_EQ(first, DeviceThread::acquire());
}

TEST(DeviceThread, WorkersTakeTurnsOnOneThread) {
  const auto device = DeviceThread::acquire();
  CountingWorker first(1000);
  CountingWorker second(1000);
  device->attach(first);
  device->attach(second);
  wait_for(first);
  wait_for(second);
  device->detach(first);
  device->detach(second);
  EXPECT_EQ(first.thread(), second.thread());
  EXPECT_NE(first.thread(), std::this_thread::get_id());
}

TEST(DeviceThread, TasksThrowToTheCaller) {
  const auto device = DeviceThread::acquire();
  EXPECT_THROW(device->run([] { throw std::runtime_error("no device"); }), std::runtime_error);
  bool has_run = false;
  device->run([&has_run] { has_run = true; });
  EXPECT_TRUE(has_run);
}

}  // namespace
}  // namespace mlxs
