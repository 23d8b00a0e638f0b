// Groups by window, in the order in which the windows appear.
#include "model/layer_groups.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kv_type.h"
#include "kernels/layer_spec.h"
#include "model/model_spec.h"

namespace mlxs {

std::vector<LayerGroup> layer_groups(const ModelSpec& spec, KvType type) {
  std::vector<LayerGroup> groups;
  for (std::size_t index = 0; index < spec.layers.size(); ++index) {
    const AttentionSpec& attention = spec.layers[index].attention;
    const int window = attention.window < spec.context_length ? attention.window : 0;
    auto group = std::ranges::find(groups, window, &LayerGroup::window);
    if (group == groups.end()) {
      groups.push_back({.window = window, .layers = {}});
      group = groups.end() - 1;
    }
    group->layers.push_back(static_cast<int>(index));
    group->bytes_per_token +=
        std::int64_t{2} * attention.num_kv_heads * kv_head_bytes(type, attention.head_dim);
  }
  return groups;
}

}  // namespace mlxs
