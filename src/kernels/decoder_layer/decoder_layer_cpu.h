// A whole decoder layer on the CPU as one primitive: MLX's own cost of a small operation is more
// than what many of them compute.
#pragma once

#include <memory>
#include <optional>

#include "kernels/decoder_layer/decoder_layer.h"

namespace mlxs {

// What the primitive reads, gathered once at load and shared with steps that MLX has still queued
// when the model goes. Norm weights are float32, row-major and evaluated.
struct CpuLayer {
  std::shared_ptr<CpuContext> context;
  AttentionSpec attention;
  MlpSpec mlp;
  float norm_eps = 0.0F;
  std::shared_ptr<const PackedLinear> q, k, v, o, gate, up, down;
  std::optional<mx::array> q_norm, k_norm, pre_attention_norm, post_attention_norm;
  std::optional<mx::array> pre_mlp_norm, post_mlp_norm;
};

// RETURNS: nullptr where decoder_layer_reference() has to run: a weight is not packed. THREADS:
// evaluates norm weights.
[[nodiscard]] std::shared_ptr<const CpuLayer> make_cpu_layer(const DecoderLayer& layer);

// As decoder_layer(), in float32; the pool is written in place. A row's result has the same bits in
// every batch. REQUIRES: x is float32, and the current device the CPU.
[[nodiscard]] mx::array decoder_layer_cpu(
    const mx::array& x,
    const std::shared_ptr<const CpuLayer>& layer,
    const LayerStep& step,
    KvLayer& pool
);

}  // namespace mlxs
