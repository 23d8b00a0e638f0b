// One decoder layer as its spec describes it. This composition of the plain operations is the
// reference that every fused version is held against; families differ in data only.
#pragma once

#include <memory>
#include <optional>

#include "kernels/batch_view.h"
#include "kernels/layer_spec.h"
#include "kernels/linear/linear.h"
#include "kernels/mx.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/rope/rope.h"

namespace mlxs {

// A norm that is not set is the identity. Norm weights are final: nothing is to be added to them.
struct AttentionWeights {
  Linear q, k, v;                           // [H * D, E], [Hkv * D, E], [Hkv * D, E]
  Linear o;                                 // [E, H * D]
  std::optional<mx::array> q_norm = {};     // [D]
  std::optional<mx::array> k_norm = {};     // [D]
  std::optional<mx::array> pre_norm = {};   // [E]
  std::optional<mx::array> post_norm = {};  // [E]
};

struct MlpWeights {
  Linear gate, up;                          // [F, E]
  Linear down;                              // [E, F]
  std::optional<mx::array> pre_norm = {};   // [E]
  std::optional<mx::array> post_norm = {};  // [E]
};

struct CpuLayer;

struct DecoderLayer {
  AttentionSpec attention_spec;
  MlpSpec mlp_spec;
  float norm_eps = 0.0F;
  AttentionWeights attention;
  MlpWeights mlp;
  // The layer as one primitive on the CPU (make_cpu_layer()); nullptr: the plain composition runs.
  std::shared_ptr<const CpuLayer> cpu = {};
};

// What the layers of a step have in common.
struct LayerStep {
  const BatchView& batch;
  const RopeTables* rope = nullptr;  // of the layer's RopeSpec; nullptr where it has none
};

// x [T, E] -> [T, E]; the batch's keys and values are stored in `pool`, whose arrays are replaced
// by their successors.
[[nodiscard]] mx::array decoder_layer(
    const mx::array& x, const DecoderLayer& layer, const LayerStep& step, KvLayer& pool
);

// The reference: the plain composition; same contract.
[[nodiscard]] mx::array decoder_layer_reference(
    const mx::array& x, const DecoderLayer& layer, const LayerStep& step, KvLayer& pool
);

}  // namespace mlxs
