// The harness finds each planted mistake, and nothing in kernels that have none.
#include "kernels/metal/testing/harness.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/metal/testing/msl_host.h"

// clang-format off
namespace planted {
#include "kernels/metal/testing/msl_names.inc"
#include "kernels/metal/testing/planted.metal"
#include "kernels/metal/testing/msl_end.inc"
}  // namespace planted
// clang-format on

namespace mlxs::msl {
namespace {

constexpr unsigned int kThreads = 128;

unsigned int at() { return position().index; }

// RETURNS: what one threadgroup (or `groups`) of the kernel is found to do wrong, or "nothing".
std::string fault_of(
    const std::function<void(Harness&, float* out)>& dispatch, LaneOrder order = LaneOrder::strict
) {
  std::string found = "nothing";
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    Harness harness(seed, order);
    auto* out = harness.output<float>(256, "out");
    std::string now = "nothing";
    try {
      dispatch(harness, out);
    } catch (const KernelError& error) {
      constexpr const char* kNames[] = {
          "race",
          "out_of_bounds",
          "uninitialised",
          "divergent_barrier",
          "divergent_simd",
          "inactive_lane",
          "threadgroup_memory"
      };
      now = kNames[static_cast<int>(error.fault())];
      EXPECT_NE(std::string(error.what()).find("thread"), std::string::npos) << error.what();
    }
    if (seed > 1 && now != found) return found + " or " + now;
    found = now;
  }
  return found;
}

std::string fault_of_one(const std::function<void(float* out)>& kernel) {
  return fault_of([&kernel](Harness& harness, float* out) {
    harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] { kernel(out); });
  });
}

TEST(MetalHarness, RunsAKernelThatIsRight) {
  for (std::uint32_t seed = 1; seed < 20; ++seed) {
    Harness harness(seed);
    constexpr int kRows = 3;
    constexpr int kColumns = 301;
    std::vector<float> values(kRows * kColumns);
    std::iota(values.begin(), values.end(), 0.0F);
    const float* in = harness.buffer(values);
    auto* out = harness.output<float>(kRows);
    harness.dispatch_threadgroups({kRows, 1, 1}, {kThreads, 1, 1}, [&] {
      const Position& p = position();
      planted::row_sum(in, out, kColumns, p.group.x, p.index, p.lane(), p.simd_group());
    });
    const std::vector<float> sums = harness.read(out, kRows);
    for (int row = 0; row < kRows; ++row)
      EXPECT_EQ(sums[static_cast<std::size_t>(row)], 301.0F * (150.0F + 301.0F * float(row)));
  }
}

TEST(MetalHarness, FindsAMissingBarrier) {
  const auto one = [](auto kernel) {
    return fault_of_one([=](float* out) { kernel(out, at(), at() % 32, at() / 32); });
  };
  // Where the reader comes first nothing is written yet.
  const std::string found = one(planted::without_barrier);
  EXPECT_TRUE(
      found == "race" || found == "uninitialised" || found == "race or uninitialised" ||
      found == "uninitialised or race"
  ) << found;
  EXPECT_NE(one(planted::with_wrong_flags).find("race"), std::string::npos);
  EXPECT_NE(one(planted::without_second_barrier).find("race"), std::string::npos);
}

TEST(MetalHarness, FindsAnOffByOne) {
  EXPECT_EQ(
      fault_of([](Harness& harness, float* out) {
        const float* in = harness.buffer(std::vector<float>(64, 1.0F));
        harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] {
          planted::one_too_far(in, out, 64, at());
        });
      }),
      "out_of_bounds"
  );
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::one_too_far_in_group(out, at()); }), "out_of_bounds"
  );
  Harness harness;
  auto* out = harness.output<float>(200);
  harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] {
    planted::that_forgets_the_last(out, 200, at());
  });
  EXPECT_NO_THROW(static_cast<void>(harness.read(out, 199)));
  EXPECT_THROW(static_cast<void>(harness.read(out, 200)), KernelError);
}

TEST(MetalHarness, FindsAWrongSimdWidth) {
  EXPECT_EQ(
      fault_of([](Harness& harness, float* out) {
        const float* in = harness.buffer(std::vector<float>(kThreads, 1.0F));
        harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] {
          planted::with_wrong_width(in, out, at());
        });
      }),
      "uninitialised"
  );
}

TEST(MetalHarness, FindsDivergence) {
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::with_divergent_barrier(out, at()); }),
      "divergent_barrier"
  );
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::with_two_barriers(out, at() / 32, at()); }),
      "divergent_barrier"
  );
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::with_divergent_sum(out, at(), at() % 32); }),
      "divergent_simd"
  );
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::from_returned_lane(out, at(), at() % 32); }),
      "inactive_lane"
  );
}

TEST(MetalHarness, FindsLanesThatRelyOnLockStep) {
  const auto dispatch = [](Harness& harness, float* out) {
    harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] {
      planted::without_simd_barrier(out, at());
    });
  };
  EXPECT_NE(fault_of(dispatch), "nothing");
}

TEST(MetalHarness, FindsRacesBetweenThreadgroups) {
  EXPECT_EQ(
      fault_of([](Harness& harness, float* out) {
        harness.dispatch_threadgroups({2, 1, 1}, {kThreads, 1, 1}, [&] {
          planted::between_threadgroups(out, at(), position().group.x);
        });
      }),
      "race"
  );
  // Of two launches the second comes after the first.
  EXPECT_EQ(
      fault_of([](Harness& harness, float* out) {
        for (unsigned int group = 0; group < 2; ++group) {
          harness.dispatch_threadgroups({}, {kThreads, 1, 1}, [&] {
            planted::between_threadgroups(out, at(), group);
          });
        }
      }),
      "nothing"
  );
}

TEST(MetalHarness, KnowsTheSizeOfThreadgroupMemory) {
  EXPECT_EQ(
      fault_of_one([](float* out) { planted::with_too_much_memory(out, at()); }),
      "threadgroup_memory"
  );
}

TEST(MetalHarness, TakesAtomicOperationsForNoRace) {
  Harness harness;
  auto* counter =
      reinterpret_cast<planted::metal::atomic_uint*>(harness.buffer(std::vector<unsigned int>{0}));
  harness.dispatch_threads({1000, 1, 1}, {kThreads, 1, 1}, [&] {
    planted::count_threads(counter);
  });
  EXPECT_EQ(harness.read(reinterpret_cast<const unsigned int*>(counter), 1)[0], 1000U);
}

TEST(MetalHarness, RefusesGridsThatCannotBe) {
  Harness harness;
  EXPECT_THROW(harness.dispatch_threadgroups({}, {2048, 1, 1}, [] {}), std::logic_error);
  EXPECT_THROW(harness.dispatch_threadgroups({}, {0, 1, 1}, [] {}), std::logic_error);
}

}  // namespace
}  // namespace mlxs::msl
