#include "base/fault_point.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>

namespace mlxs {
namespace {

TEST(FaultPoint, HarmsTheCallsThatItIsSetFor) {
  fault_point("a");
  {
    const ScopedFault fault({.name = "a", .first_hit = 2, .num_hits = 2});
    fault_point("a");
    fault_point("b");
    fault_point("a");
    EXPECT_THROW(fault_point("a"), InjectedFault);
    EXPECT_THROW(fault_point("a"), InjectedFault);
    fault_point("a");
    EXPECT_EQ(fault.num_harmed(), 2U);
  }
  fault_point("a");
}

TEST(FaultPoint, DelaysAndSpoils) {
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::milliseconds delay(2);
  const ScopedFault slow({.name = "slow", .kind = FaultKind::delay, .delay = delay});
  const ScopedFault spoilt({.name = "spoilt", .kind = FaultKind::not_a_number});
  fault_point("slow");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, delay);
  EXPECT_TRUE(fault_spoils("spoilt"));
  EXPECT_FALSE(fault_spoils("spoilt"));
  EXPECT_FALSE(fault_spoils("other"));
}

TEST(FaultPoint, IsSetOnceAtATime) {
  const ScopedFault fault({.name = "a"});
  EXPECT_THROW(ScopedFault({.name = "a"}), std::logic_error);
}

}  // namespace
}  // namespace mlxs
