// door_bench STREAMS TOKENS [MODEL]: tokens per second of the C++ door, the yardstick of the
// packages. Prints one JSON object. Runs on the fake engine where LD_LIBRARY_PATH has its
// libmlx_serving first.
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "bindings/common/engine_door.h"
#include "bindings/common/event_hub.h"

namespace mlxs {
namespace {

struct Run {
  std::size_t num_tokens = 0;
  double seconds = 0.0;
};

Run measure(EngineDoor& door, int num_streams, int num_tokens) {
  EventHub hub;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < num_streams; ++i) {
    door.submit(
        hub,
        R"({"prompt":"stream )" + std::to_string(i) +
            R"(","temperature":0,"ignore_eos":true,"max_tokens":)" + std::to_string(num_tokens) +
            "}"
    );
  }
  Run run;
  while (hub.num_streams() > 0) {
    for (const DoorEvent& event : hub.wait(std::chrono::seconds(1)))
      run.num_tokens += event.token_ids.size();
  }
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return run;
}

}  // namespace
}  // namespace mlxs

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: door_bench STREAMS TOKENS [MODEL]\n");
    return 2;
  }
  try {
    const std::string streams = argv[1];
    const std::string model = argc > 3 ? ",\"model\":\"" + std::string(argv[3]) + "\"" : "";
    const auto door = mlxs::EngineDoor::open(R"({"max_sequences":)" + streams + model + "}");
    static_cast<void>(mlxs::measure(*door, std::atoi(argv[1]), 4));
    const mlxs::Run run = mlxs::measure(*door, std::atoi(argv[1]), std::atoi(argv[2]));
    std::printf("{\"tokens\": %zu, \"seconds\": %.6f}\n", run.num_tokens, run.seconds);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "door_bench: %s\n", error.what());
    return 1;
  }
}
