// Sizes from the largest layer.
#include "kernels/cuda/workspace.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace mlxs::cuda {
namespace {

std::size_t width_of(const AttentionSpec& spec) {
  return static_cast<std::size_t>(spec.num_heads + 2 * spec.num_kv_heads) *
         static_cast<std::size_t>(spec.head_dim);
}

}  // namespace

Workspace::Workspace(const Context& context, const DecoderParts& parts, int rows) : num_rows(rows) {
  const auto count = static_cast<std::size_t>(rows);
  const auto hidden_size = static_cast<std::size_t>(parts.hidden_size);
  std::size_t width = 0;
  std::size_t mixed_width = 0;
  std::size_t mlp_width = 0;
  std::size_t partial_size = 0;
  std::size_t num_arrivals = 0;
  for (const LayerWeights& layer : parts.layers) {
    const AttentionSpec& spec = layer.attention;
    width = std::max(width, width_of(spec));
    mixed_width = std::max(
        mixed_width,
        static_cast<std::size_t>(spec.num_heads) * static_cast<std::size_t>(spec.head_dim)
    );
    mlp_width = std::max(mlp_width, static_cast<std::size_t>(layer.mlp.intermediate_size));
    // The more rows, the fewer splits: items * splits is bounded by what fills the GPU.
    const auto most =
        static_cast<std::size_t>(std::max(4 * context.num_processors() / spec.num_kv_heads, 1));
    partial_size = std::max(
        partial_size,
        std::max(count, std::min(most, count * kMaxSplits)) *
            static_cast<std::size_t>(spec.num_heads * (spec.head_dim + 2))
    );
    num_arrivals = std::max(num_arrivals, count * static_cast<std::size_t>(spec.num_heads));
  }
  constexpr std::size_t kHalf = 2;
  tokens = context.allocate(count * sizeof(std::int32_t));
  hidden = context.allocate(count * hidden_size * kHalf);
  normed = context.allocate(count * hidden_size * kHalf);
  qkv = context.allocate(count * width * kHalf);
  mixed = context.allocate(count * mixed_width * kHalf);
  projected = context.allocate(count * hidden_size * kHalf);
  gated = context.allocate(count * mlp_width * kHalf);
  partials = context.allocate(partial_size * sizeof(float));
  products = ProductSpace(
      context,
      rows,
      static_cast<int>(std::max({hidden_size, mixed_width, mlp_width})),
      static_cast<int>(2 * mlp_width)
  );
  arrivals = context.allocate(num_arrivals * sizeof(unsigned int));
  for (const RopeSpec& rope : parts.ropes) {
    cosines.push_back(context.allocate(count * rope.inv_freq.size() * sizeof(float)));
    sines.push_back(context.allocate(count * rope.inv_freq.size() * sizeof(float)));
  }
  const Driver& driver = context.driver();
  driver.check(
      driver.memset_async(arrivals.address(), 0, num_arrivals * sizeof(unsigned int), nullptr),
      "clearing a workspace"
  );
  driver.check(
      driver.memset_async(tokens.address(), 0, count * sizeof(std::int32_t), nullptr),
      "clearing a workspace"
  );
  driver.check(driver.stream_synchronize(nullptr), "clearing a workspace");
}

}  // namespace mlxs::cuda
