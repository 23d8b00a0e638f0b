// How large the KV pool is and so how long a sequence may be: arithmetic on a stated budget, before
// anything is allocated.
#pragma once

#include <cstdint>

#include "mlx_serving/config.h"

namespace mlxs {

struct KvBudget {
  int page_size = 0;  // tokens
  int num_pages = 0;
  int context_length = 0;  // tokens of one sequence; its pages fit in the pool
};

struct KvDemand {
  std::int64_t bytes_per_token = 0;  // keys and values of all layers
  int model_context = 0;             // tokens, by the model's configuration
  std::int64_t memory_bytes = 0;     // of the machine or its container
};

// ERRORS: invalid_config where the configuration asks for a longer context than the model has or
// the memory holds, or for memory that does not hold one page.
[[nodiscard]] KvBudget plan_kv(const EngineConfig& config, const KvDemand& demand);

}  // namespace mlxs
