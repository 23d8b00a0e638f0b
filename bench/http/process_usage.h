// What /proc tells of another process: descriptors, memory and processor time.
#pragma once

#include <cstdint>

namespace mlxs::bench {

struct ProcessUsage {
  int num_descriptors = 0;
  std::int64_t resident_bytes = 0;
  double cpu_us = 0.0;  // user and system time of all threads
};

// ERRORS: std::runtime_error where there is no such process.
[[nodiscard]] ProcessUsage usage_of(int process_id);

}  // namespace mlxs::bench
