// Only the candidates are sorted, not the vocabulary.
#include "sampling/score.h"

#include <mlx/ops.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mlxs {
namespace {

// [R, K] int32: the K likeliest tokens, the best first.
mx::array likeliest(const mx::array& logits, int num_top) {
  const int num_rows = logits.shape(0);
  const mx::array negated = mx::negative(logits);
  mx::array ids = mx::argpartition(negated, num_top - 1, 1);
  ids = mx::slice(ids, {0, 0}, {num_rows, num_top});
  const mx::array order = mx::argsort(mx::take_along_axis(negated, ids, 1), 1);
  return mx::astype(mx::take_along_axis(ids, order, 1), mx::int32);
}

// The ids that rows name, in place of the likeliest ones.
mx::array with_named(const mx::array& top, std::span<const ScoreRow> rows) {
  const bool has_named =
      std::ranges::any_of(rows, [](const ScoreRow& row) { return !row.token_ids.empty(); });
  if (!has_named) return top;
  const auto width = static_cast<std::size_t>(top.shape(1));
  std::vector<std::int32_t> named;
  std::vector<std::int32_t> is_named;
  for (const ScoreRow& row : rows) {
    const std::size_t first = named.size();
    named.insert(named.end(), row.token_ids.begin(), row.token_ids.end());
    named.resize(first + width, 0);
    is_named.push_back(row.token_ids.empty() ? 0 : 1);
  }
  const mx::array flags(is_named.data(), mx::Shape{top.shape(0), 1});
  return mx::where(
      mx::equal(flags, mx::array(1)), mx::array(named.data(), top.shape(), mx::int32), top
  );
}

}  // namespace

Scores score_tokens(
    const mx::array& logits, const mx::array& targets, std::span<const ScoreRow> rows
) {
  int num_told = 1;
  for (const ScoreRow& row : rows) num_told = std::max(num_told, row.num_told());
  num_told = std::min(num_told, logits.shape(1));
  const mx::array total = mx::logsumexp(logits, 1, /*keepdims=*/true);
  const mx::array own = mx::take_along_axis(logits, mx::expand_dims(targets, 1), 1);
  const mx::array ids = with_named(likeliest(logits, num_told), rows);
  return {
      .logprobs = mx::flatten(own - total),
      .ranks = mx::sum(mx::astype(mx::greater_equal(logits, own), mx::int32), 1),
      .top_ids = ids,
      .top_logprobs = mx::take_along_axis(logits, ids, 1) - total
  };
}

}  // namespace mlxs
