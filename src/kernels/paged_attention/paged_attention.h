// Attention of a ragged batch over the page pool: prompts, chunks of prompts and decodes together.
#pragma once

#include "kernels/batch_view.h"
#include "kernels/kv_pages.h"
#include "kernels/layer_spec.h"
#include "kernels/mx.h"

namespace mlxs {

// queries [T, H, D] -> [T, H, D], in the dtype of the queries; scores and softmax are float32. A
// row at position p sees the keys at positions max(0, p - window + 1) .. p of its own sequence. H
// is a multiple of Hkv; query head h uses kv head h / (H / Hkv). Uses scale, window and soft_cap of
// `spec`. REQUIRES: the rows of the batch are stored in `pool`.
[[nodiscard]] mx::array paged_attention(
    const mx::array& queries, const KvLayer& pool, const BatchView& batch, const AttentionSpec& spec
);

}  // namespace mlxs
