// The form of the file, and that nothing is kept while nobody asks.
#include "telemetry/profiler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>

#include "base/json.h"

namespace mlxs {
namespace {

using std::chrono::microseconds;

json::array events_of(const std::string& profile) {
  return parse_json(profile).at("traceEvents").as_array();
}

TEST(Profiler, WritesWhatPerfettoReads) {
  Profiler profiler;
  profiler.add({.name = "before"});
  ASSERT_TRUE(profiler.start());
  EXPECT_FALSE(profiler.start());
  const auto begin = Profiler::Clock::now();
  profiler.add(
      {.name = "step",
       .track = ProfileTrack::device,
       .begin = begin,
       .duration = microseconds(1500),
       .arguments = {{"decode_rows", 4}}}
  );
  profiler.count("steps in flight", begin, 2);
  const json::array events = events_of(profiler.stop());
  ASSERT_EQ(events.size(), 5U);  // three names of tracks first
  EXPECT_EQ(events[0].at("ph"), "M");
  EXPECT_EQ(events[3].at("name"), "step");
  EXPECT_EQ(events[3].at("ph"), "X");
  EXPECT_EQ(events[3].at("dur"), 1500.0);
  EXPECT_EQ(events[3].at_pointer("/args/decode_rows"), 4);
  EXPECT_EQ(events[4].at("ph"), "C");
  EXPECT_EQ(events[4].at_pointer("/args/value"), 2);
}

TEST(Profiler, StartsAnew) {
  Profiler profiler;
  ASSERT_TRUE(profiler.start());
  profiler.add({.name = "step", .begin = Profiler::Clock::now()});
  (void)profiler.stop();
  EXPECT_FALSE(profiler.is_active());
  profiler.add({.name = "between"});
  ASSERT_TRUE(profiler.start());
  EXPECT_EQ(events_of(profiler.stop()).size(), 3U);
}

}  // namespace
}  // namespace mlxs
