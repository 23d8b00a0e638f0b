// Which layers of a model share page tables, as plain data: those with an equal attention window.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/kv_type.h"
#include "model/model_spec.h"

namespace mlxs {

struct LayerGroup {
  int window = 0;                    // tokens that a layer sees, itself included; 0: all before it
  std::vector<int> layers;           // ascending
  std::int64_t bytes_per_token = 0;  // keys and values of all its layers
};

// RETURNS: at least one group for a model with layers, in the order of their first layers; each
// layer is in one of them. A window as long as the model's context is none.
[[nodiscard]] std::vector<LayerGroup> layer_groups(const ModelSpec& spec, KvType type);

}  // namespace mlxs
