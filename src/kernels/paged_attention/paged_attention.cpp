// The reference in plain MLX operations: each sequence gathers the pages that it sees.
#include "kernels/paged_attention/paged_attention.h"

#include <mlx/ops.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

namespace mlxs {
namespace {

// Positions [begin, end) of a sequence.
struct KeyRange {
  int begin = 0;
  int end = 0;
};

KeyRange visible_keys(const SequenceView& sequence, int window) {
  const int begin = window > 0 ? std::max(0, sequence.context_length - window + 1) : 0;
  return {.begin = begin, .end = sequence.context_length + sequence.num_rows};
}

// pool [P, S, Hkv, D] -> the tokens of `range` as [Hkv, L, D] float32.
mx::array gather_tokens(
    const mx::array& pool, const std::vector<std::int32_t>& table, KeyRange range
) {
  const int page_size = pool.shape(1);
  const int num_kv_heads = pool.shape(2);
  const int head_dim = pool.shape(3);
  const int first_page = range.begin / page_size;
  const int num_pages = (range.end + page_size - 1) / page_size - first_page;
  const mx::array pages(table.data() + first_page, mx::Shape{num_pages}, mx::int32);
  const mx::array tokens =
      mx::reshape(mx::take(pool, pages, 0), {num_pages * page_size, num_kv_heads, head_dim});
  const int skipped = first_page * page_size;
  const mx::array seen = mx::slice(
      tokens, {range.begin - skipped, 0, 0}, {range.end - skipped, num_kv_heads, head_dim}
  );
  return mx::astype(mx::transpose(seen, {1, 0, 2}), mx::float32);
}

// [R, L] bool: which keys of `range` each row sees; nothing when every row sees all of them.
std::optional<mx::array> attention_mask(const SequenceView& sequence, KeyRange range, int window) {
  if (sequence.num_rows == 1) return std::nullopt;
  const mx::array keys = mx::expand_dims(mx::arange(range.begin, range.end, 1), 0);
  const mx::array rows = mx::expand_dims(mx::arange(sequence.context_length, range.end, 1), 1);
  mx::array mask = mx::less_equal(keys, rows);
  if (window > 0) mask = mx::logical_and(mask, mx::greater(keys, rows - mx::array(window)));
  return mask;
}

mx::array attend(
    const mx::array& queries,
    const KvLayer& pool,
    const SequenceView& sequence,
    const AttentionSpec& spec
) {
  const int num_rows = sequence.num_rows;
  const int num_heads = queries.shape(1);
  const int head_dim = queries.shape(2);
  const int num_kv_heads = pool.keys.shape(2);
  const int group = num_heads / num_kv_heads;
  const KeyRange range = visible_keys(sequence, spec.window);
  const int num_keys = range.end - range.begin;

  const mx::array rows = mx::slice(
      queries, {sequence.first_row, 0, 0}, {sequence.first_row + num_rows, num_heads, head_dim}
  );
  const mx::array by_head = mx::transpose(mx::astype(rows, mx::float32), {1, 0, 2});  // [H, R, D]
  const mx::array grouped = mx::reshape(by_head, {num_kv_heads, group * num_rows, head_dim});
  const std::vector<std::int32_t>& table = sequence.pages[static_cast<std::size_t>(pool.group)];
  mx::array keys = gather_tokens(pool.keys, table, range);
  mx::array values = gather_tokens(pool.values, table, range);
  if (pool.is_quantized()) {
    keys = keys * gather_tokens(*pool.key_scales, table, range);
    values = values * gather_tokens(*pool.value_scales, table, range);
  }

  mx::array scores = mx::matmul(grouped * mx::array(spec.scale), mx::transpose(keys, {0, 2, 1}));
  if (spec.soft_cap > 0.0F) {
    const mx::array cap(spec.soft_cap);
    scores = cap * mx::tanh(scores / cap);
  }
  if (const auto mask = attention_mask(sequence, range, spec.window)) {
    const mx::array by_row = mx::reshape(scores, {num_heads, num_rows, num_keys});
    const mx::array minus_infinity(-std::numeric_limits<float>::infinity());
    scores = mx::reshape(mx::where(*mask, by_row, minus_infinity), scores.shape());
  }
  const mx::array mixed = mx::matmul(mx::softmax(scores, -1), values);  // [Hkv, G * R, D]
  return mx::transpose(mx::reshape(mixed, {num_heads, num_rows, head_dim}), {1, 0, 2});
}

}  // namespace

mx::array paged_attention(
    const mx::array& queries, const KvLayer& pool, const BatchView& batch, const AttentionSpec& spec
) {
  std::vector<mx::array> parts;
  parts.reserve(batch.sequences.size());
  for (const SequenceView& sequence : batch.sequences)
    parts.push_back(attend(queries, pool, sequence, spec));
  const mx::array all = parts.size() == 1 ? parts.front() : mx::concatenate(parts, 0);
  return mx::astype(all, queries.dtype());
}

}  // namespace mlxs
