// How large the KV pools are and so how long a sequence may be: arithmetic on a stated budget,
// before anything is allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/page_layout.h"
#include "mlx_serving/config.h"

namespace mlxs {

struct KvBudget {
  CacheLayout layout = {};
  int context_length = 0;  // tokens of one sequence; its pages fit in the pools
};

// Layers with one attention window.
struct KvGroupDemand {
  int window = 0;                    // tokens; 0: all
  std::int64_t bytes_per_token = 0;  // keys and values of its layers
};

struct KvDemand {
  std::vector<KvGroupDemand> groups = {};
  int model_context = 0;          // tokens, by the model's configuration
  std::int64_t memory_bytes = 0;  // of the machine or the GPU, less what the model itself takes
  double default_share = 0.25;    // of it for the pools, where nobody said how much
};

// The pools' sizes are to each other as the pages of one sequence of the longest context are, so
// that no group runs out long before the others do.
// ERRORS: invalid_config where the configuration asks for a longer context than the model has or
// the memory holds, for memory that does not hold one page of each group, or for more than the
// machine has.
[[nodiscard]] KvBudget plan_kv(const EngineConfig& config, const KvDemand& demand);

}  // namespace mlxs
