// Any bytes as a walk of actions over the scheduler: requests come, go, pause and fork, steps
// succeed and fail, pages run out. No invariant breaks, no token is wrong, nobody starves.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <stdexcept>

#include "engine/testing/scheduler_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t num_bytes) {
  std::span<const std::uint8_t> input(bytes, num_bytes);
  unsigned calls = 0;
  const auto choose = [&](unsigned limit) -> unsigned {
    if (input.empty()) return ++calls % limit;  // the drain goes on without input
    const unsigned value = input.front();
    input = input.subspan(1);
    return value % limit;
  };
  try {
    mlxs::SchedulerWalk walk(choose);
    while (!input.empty()) walk.act();
    walk.drain();
  } catch (const std::logic_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();
  }
  return 0;
}
