// The reference composition.
#include "kernels/decoder_layer/decoder_layer.h"

#include <mlx/ops.h>

#include "kernels/rms_norm/rms_norm.h"
#include "kernels/store_kv/store_kv.h"
#include "kernels/swiglu/swiglu.h"

namespace mlxs {
namespace {

mx::array maybe_norm(const mx::array& x, const std::optional<mx::array>& weight, float eps) {
  return weight ? rms_norm(x, *weight, eps) : x;
}

// x [T, E] -> [T, H, D], normed and rotated where the layer asks for it.
mx::array heads(const mx::array& projected, int num_heads, int head_dim) {
  return mx::reshape(projected, {projected.shape(0), num_heads, head_dim});
}

mx::array attention_block(
    const mx::array& x,
    const DecoderLayer& layer,
    const BatchView& batch,
    const RopeTables* rope,
    KvLayer& pool
) {
  const AttentionSpec& spec = layer.attention_spec;
  const AttentionWeights& weights = layer.attention;
  mx::array queries = heads(linear(x, weights.q), spec.num_heads, spec.head_dim);
  mx::array keys = heads(linear(x, weights.k), spec.num_kv_heads, spec.head_dim);
  const mx::array values = heads(linear(x, weights.v), spec.num_kv_heads, spec.head_dim);
  queries = maybe_norm(queries, weights.q_norm, layer.norm_eps);
  keys = maybe_norm(keys, weights.k_norm, layer.norm_eps);
  if (rope != nullptr) {
    queries = apply_rope(queries, *rope);
    keys = apply_rope(keys, *rope);
  }
  store_kv(pool, keys, values, batch.slots[static_cast<std::size_t>(pool.group)]);
  const mx::array mixed = paged_attention(queries, pool, batch, spec);
  return linear(mx::reshape(mixed, {x.shape(0), spec.num_heads * spec.head_dim}), weights.o);
}

mx::array mlp_block(const mx::array& x, const DecoderLayer& layer) {
  const MlpWeights& weights = layer.mlp;
  const mx::array gated =
      gated_activation(linear(x, weights.gate), linear(x, weights.up), layer.mlp_spec.activation);
  return linear(gated, weights.down);
}

}  // namespace

mx::array decoder_layer(
    const mx::array& x,
    const DecoderLayer& layer,
    const BatchView& batch,
    const RopeTables* rope,
    KvLayer& pool
) {
  const AttentionWeights& attention = layer.attention;
  const MlpWeights& mlp = layer.mlp;
  const float eps = layer.norm_eps;
  const mx::array mixed =
      attention_block(maybe_norm(x, attention.pre_norm, eps), layer, batch, rope, pool);
  const mx::array attended = x + maybe_norm(mixed, attention.post_norm, eps);
  return attended +
         maybe_norm(mlp_block(maybe_norm(attended, mlp.pre_norm, eps), layer), mlp.post_norm, eps);
}

}  // namespace mlxs
