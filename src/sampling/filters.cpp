// Every function works in the order of ids: what a row draws must not depend on whether another row
// needs a sort.
#include "sampling/filters.h"

#include <mlx/ops.h>

#include <limits>

namespace mlxs {
namespace {

mx::array mask_out(const mx::array& logits, const mx::array& keep) {
  return mx::where(keep, logits, mx::array(-std::numeric_limits<float>::infinity()));
}

}  // namespace

mx::array keep_best(const mx::array& logits, const mx::array& top_k, const mx::array& top_p) {
  const int vocab_size = logits.shape(1);
  const mx::array order = mx::argsort(mx::negative(logits), 1);  // stable
  const mx::array rank = mx::expand_dims(mx::arange(vocab_size), 0);
  const mx::array in_top_k = mx::less(rank, top_k);
  const mx::array sorted = mask_out(mx::take_along_axis(logits, order, 1), in_top_k);
  const mx::array mass_before =
      mx::cumsum(mx::softmax(sorted, 1), 1, /*reverse=*/false, /*inclusive=*/false);
  const mx::array in_top_p =
      mx::logical_or(mx::less(mass_before, top_p), mx::greater_equal(top_p, mx::array(1.0F)));
  const mx::array keep_sorted = mx::logical_and(in_top_k, in_top_p);
  const mx::array keep =
      mx::put_along_axis(mx::zeros(logits.shape(), mx::bool_), order, keep_sorted, 1);
  return mask_out(logits, keep);
}

mx::array keep_likely(const mx::array& logits, const mx::array& min_p) {
  const mx::array threshold = mx::max(logits, 1, /*keepdims=*/true) + mx::log(min_p);
  return mask_out(logits, mx::greater_equal(logits, threshold));
}

mx::array draw(const mx::array& logits, const mx::array& uniform) {
  const mx::array probabilities = mx::softmax(logits, 1);
  const mx::array mass = mx::cumsum(probabilities, 1);
  const mx::array total = mx::max(mass, 1, /*keepdims=*/true);
  // Rounding may bring uniform * total up to total; and a parallel sum need not be monotonic.
  const mx::array reached =
      mx::logical_or(mx::greater(mass, uniform * total), mx::greater_equal(mass, total));
  const mx::array candidates =
      mx::logical_and(reached, mx::greater(probabilities, mx::array(0.0F)));
  return mx::astype(mx::argmax(mx::astype(candidates, mx::int32), 1), mx::int32);
}

}  // namespace mlxs
