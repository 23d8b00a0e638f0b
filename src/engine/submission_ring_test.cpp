#include "engine/submission_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "engine/batch.h"
#include "engine/runner.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Clock = SubmissionRing::Clock;

// A device on a virtual clock: steps take their time one after another; waiting moves the clock.
struct VirtualDevice {
  Clock::time_point now{};
  Clock::time_point free_at{};
  Clock::duration busy{0};
  Clock::duration step_time = milliseconds(10);
  std::uint64_t hangs_at = 0;  // step that never ends; 0: none
  std::uint64_t fails_at = 0;
  int num_in_flight = 0;
  int max_in_flight = 0;
};

class VirtualSubmission final : public Submission {
 public:
  VirtualSubmission(VirtualDevice& device, std::uint64_t step) : device_(device), step_(step) {
    if (step == device.hangs_at) {
      end_ = Clock::time_point::max();
      device.free_at = end_;
    } else {
      const Clock::time_point begin = std::max(device.now, device.free_at);
      end_ = begin == Clock::time_point::max() ? begin : begin + device.step_time;
      device.free_at = end_;
      device.busy += device.step_time;
    }
    device.max_in_flight = std::max(device.max_in_flight, ++device.num_in_flight);
  }
  ~VirtualSubmission() override { --device_.num_in_flight; }

  bool wait_for(std::chrono::nanoseconds timeout) override {
    if (end_ > device_.now) device_.now = std::min(end_, device_.now + timeout);
    return device_.now >= end_;
  }
  StepResult take() override {
    if (step_ == device_.fails_at) throw std::runtime_error("lost");
    return {.tokens = {{.id = static_cast<std::int32_t>(step_)}}};
  }

 private:
  VirtualDevice& device_;
  std::uint64_t step_;
  Clock::time_point end_;
};

class VirtualRunner final : public Runner {
 public:
  explicit VirtualRunner(VirtualDevice& device) : device_(device) {}

  std::unique_ptr<Submission> submit(const Batch& batch) override {
    if (batch.token_ids.empty()) throw std::invalid_argument("no rows");
    return std::make_unique<VirtualSubmission>(device_, batch.step);
  }
  std::vector<std::byte> read_page(int /*group*/, std::int32_t /*page*/) override { return {}; }
  void write_page(int /*group*/, std::int32_t /*page*/, std::span<const std::byte> /*content*/)
      override {}
  std::int64_t page_bytes(int /*group*/) const override { return 0; }

 private:
  VirtualDevice& device_;
};

struct Bench {
  explicit Bench(SubmissionRingOptions options)
      : runner(device), ring(options, [this] { return device.now; }) {}

  void submit() {
    Batch batch;
    batch.step = ++step;
    batch.token_ids = {1, 2, 3};
    ring.submit(runner, batch);
  }

  VirtualDevice device;
  VirtualRunner runner;
  SubmissionRing ring;
  std::uint64_t step = 0;
};

// The engine's rhythm: fill the ring, collect one, do the host's work.
void run_steps(Bench& bench, int num_steps, Clock::duration host_time) {
  for (int i = 0; i < num_steps; ++i) {
    while (!bench.ring.is_full()) bench.submit();
    const CollectedStep collected = bench.ring.collect();
    ASSERT_EQ(collected.outcome, CollectedStep::Outcome::completed);
    bench.device.now += host_time;
  }
}

TEST(SubmissionRing, KeepsTheDeviceBusyWhileTheHostWorks) {
  Bench bench({.capacity = 2});
  run_steps(bench, 1000, microseconds(8000));
  const double elapsed =
      std::chrono::duration<double>(bench.device.now - Clock::time_point{}).count();
  const double busy = std::chrono::duration<double>(bench.device.busy).count();
  EXPECT_GE(busy / elapsed, 0.98);
  EXPECT_EQ(bench.device.max_in_flight, 2);
  EXPECT_LE(bench.ring.stats().idle_share(), 0.02);
  EXPECT_NEAR(bench.ring.stats().mean_occupancy, 1.2, 0.01);
}

TEST(SubmissionRing, WithoutOverlapTheDeviceWaitsForTheHost) {
  Bench bench({.capacity = 1});
  run_steps(bench, 1000, microseconds(8000));
  EXPECT_EQ(bench.device.max_in_flight, 1);
  EXPECT_NEAR(bench.ring.stats().idle_share(), 8.0 / 18.0, 0.01);
}

TEST(SubmissionRing, CollectsInOrderAndTellsHowLongEachStepTook) {
  Bench bench({.capacity = 3});
  for (int i = 0; i < 3; ++i) bench.submit();
  EXPECT_TRUE(bench.ring.is_full());
  EXPECT_THROW(bench.submit(), std::logic_error);
  for (std::uint64_t step = 1; step <= 3; ++step) {
    const CollectedStep collected = bench.ring.collect();
    EXPECT_EQ(collected.step, step);
    EXPECT_EQ(collected.num_rows, 3U);
    EXPECT_EQ(collected.duration, milliseconds(10));
    EXPECT_EQ(collected.result.tokens.at(0).id, static_cast<std::int32_t>(step));
  }
  EXPECT_TRUE(bench.ring.is_empty());
  EXPECT_THROW((void)bench.ring.collect(), std::logic_error);
  EXPECT_EQ(bench.ring.stats().num_completed, 3U);
}

TEST(SubmissionRing, AFailedStepIsTheOneThatFails) {
  Bench bench({.capacity = 2});
  bench.device.fails_at = 2;
  bench.submit();
  bench.submit();
  EXPECT_EQ(bench.ring.collect().outcome, CollectedStep::Outcome::completed);
  bench.submit();
  const CollectedStep failed = bench.ring.collect();
  EXPECT_EQ(failed.outcome, CollectedStep::Outcome::failed);
  EXPECT_EQ(failed.step, 2U);
  EXPECT_THROW(std::rethrow_exception(failed.error), std::runtime_error);
  EXPECT_EQ(bench.ring.collect().outcome, CollectedStep::Outcome::completed);
  EXPECT_EQ(bench.ring.stats().num_failed, 1U);
}

TEST(SubmissionRing, AHungStepIsGivenUpWithinItsTimeout) {
  Bench bench({.capacity = 2, .timeout = milliseconds(500)});
  bench.device.hangs_at = 1;
  bench.submit();
  bench.submit();
  const Clock::time_point start = bench.device.now;
  EXPECT_EQ(bench.ring.collect().outcome, CollectedStep::Outcome::timed_out);
  EXPECT_EQ(bench.device.now - start, milliseconds(500));
  EXPECT_EQ(bench.ring.collect().outcome, CollectedStep::Outcome::timed_out);
  EXPECT_EQ(bench.ring.stats().num_timeouts, 2U);
  EXPECT_TRUE(bench.ring.is_empty());
}

TEST(SubmissionRing, ABatchThatCannotBeSubmittedIsNotInFlight) {
  Bench bench({.capacity = 2});
  EXPECT_THROW(bench.ring.submit(bench.runner, Batch{}), std::invalid_argument);
  EXPECT_TRUE(bench.ring.is_empty());
  EXPECT_EQ(bench.ring.stats().num_submitted, 0U);
}

TEST(SubmissionRing, APauseIsNoIdleTimeOfTheDevice) {
  Bench bench({.capacity = 2});
  bench.submit();
  (void)bench.ring.collect();
  bench.ring.pause();
  bench.device.now += std::chrono::hours(1);
  bench.submit();
  (void)bench.ring.collect();
  EXPECT_EQ(bench.ring.stats().idle_ms, 0.0);
  EXPECT_EQ(bench.ring.stats().busy_ms, 20.0);
}

TEST(SubmissionRing, RefusesOptionsOutOfRange) {
  EXPECT_THROW(SubmissionRing({.capacity = 0}), Error);
  EXPECT_THROW(SubmissionRing({.capacity = 9}), Error);
  EXPECT_THROW(SubmissionRing({.capacity = 1, .timeout = milliseconds(0)}), Error);
}

}  // namespace
}  // namespace mlxs
