// What this computer is: the facts that a measured speed depends on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/backend_facts.h"

namespace mlxs {

struct Machine {
  std::string system;  // "Linux 6.1.0 x86_64"
  std::string cpu;     // "AMD EPYC 7B13"; empty: the system does not tell
  std::vector<std::string>
      cpu_features;   // of those that matter for matrix products: "avx2", "avx512f", "asimd" ...
  int num_cores = 0;  // logical, that this process may use
  std::int64_t memory_bytes = 0;
  double load_average = 0.0;  // runnable threads over the last minute
};

[[nodiscard]] Machine read_machine();

// RETURNS: machine and back end as one object, `gpu` null without one.
[[nodiscard]] json::object machine_json(const Machine& machine, const BackendFacts& backend);

}  // namespace mlxs
