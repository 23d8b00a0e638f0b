// Every filter works in the order of ids, as the draw does, and on columns of parameters.
#include "sampling/row_filters.h"

#include <mlx/ops.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "kernels/choose_token/filter_row.h"
#include "mlx_serving/sampling.h"
#include "sampling/filters.h"

namespace mlxs {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Below it a distribution is its best token; 0 would divide by nothing.
constexpr float kLeastTemperature = 1e-6F;

using Rules = std::span<const FilterRule>;

template <typename T>
mx::array column(Rules rules, T FilterRule::* member) {
  std::vector<T> values;
  values.reserve(rules.size());
  for (const FilterRule& rule : rules) values.push_back(rule.*member);
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size()), 1});
}

mx::array mask_out(const mx::array& logits, const mx::array& keep) {
  return mx::where(keep, logits, mx::array(-kInfinity));
}

mx::array is_left(const mx::array& logits) { return mx::greater(logits, mx::array(-kInfinity)); }

// [R, 1] float32
mx::array sum_of_row(const mx::array& values) { return mx::sum(values, 1, /*keepdims=*/true); }

mx::array count_in_row(const mx::array& condition) {
  return sum_of_row(mx::astype(condition, mx::float32));
}

mx::array largest_of_row(const mx::array& values) { return mx::max(values, 1, /*keepdims=*/true); }

mx::array log_probabilities(const mx::array& logits) {
  return logits - mx::logsumexp(logits, 1, /*keepdims=*/true);
}

// In nats, [R, 1]; what was left out adds nothing.
mx::array entropy(const mx::array& log_probs) {
  const mx::array terms = mx::exp(log_probs) * log_probs;
  return mx::negative(sum_of_row(mx::where(is_left(log_probs), terms, mx::array(0.0F))));
}

mx::array apply_temperature(const mx::array& logits, Rules rules) {
  const mx::array temperature = column(rules, &FilterRule::temperature);
  const mx::array range = column(rules, &FilterRule::dynatemp_range);
  const mx::array lowest = mx::maximum(temperature - range, mx::array(0.0F));
  const mx::array even = mx::log(count_in_row(is_left(logits)));
  const mx::array share = mx::clip(
      entropy(log_probabilities(logits)) / mx::maximum(even, mx::array(kLeastTemperature)),
      mx::array(0.0F),
      mx::array(1.0F)
  );
  const mx::array dynamic =
      lowest + (temperature + range - lowest) *
                   mx::power(share, column(rules, &FilterRule::dynatemp_exponent));
  const mx::array is_dynamic =
      mx::logical_and(mx::greater(range, mx::array(0.0F)), mx::greater(even, mx::array(0.0F)));
  const mx::array used = mx::where(is_dynamic, dynamic, temperature);
  return logits / mx::maximum(used, mx::array(kLeastTemperature));
}

mx::array keep_within_sigma(const mx::array& logits, Rules rules) {
  const mx::array left = is_left(logits);
  const mx::array count = count_in_row(left);
  const mx::array mean = sum_of_row(mx::where(left, logits, mx::array(0.0F))) / count;
  const mx::array difference = mx::where(left, logits - mean, mx::array(0.0F));
  const mx::array sigma = mx::sqrt(sum_of_row(difference * difference) / count);
  const mx::array num_sigmas = column(rules, &FilterRule::top_n_sigma);
  const mx::array threshold = largest_of_row(logits) - num_sigmas * sigma;
  return mask_out(
      logits,
      mx::logical_or(
          mx::greater_equal(logits, threshold), mx::less_equal(num_sigmas, mx::array(0.0F))
      )
  );
}

// top_k and top_p through keep_best, which has both.
mx::array keep_ranks(
    const mx::array& logits, const std::vector<int>& top_k, const mx::array& top_p
) {
  return keep_best(
      logits, mx::array(top_k.data(), mx::Shape{static_cast<int>(top_k.size()), 1}), top_p
  );
}

mx::array keep_top_k(const mx::array& logits, Rules rules) {
  std::vector<int> top_k;
  for (const FilterRule& rule : rules)
    top_k.push_back(rule.top_k <= 0 ? logits.shape(1) : std::min(rule.top_k, logits.shape(1)));
  return keep_ranks(logits, top_k, mx::array(1.0F));
}

mx::array keep_top_p(const mx::array& logits, Rules rules) {
  const std::vector<int> all(rules.size(), logits.shape(1));
  return keep_ranks(logits, all, column(rules, &FilterRule::top_p));
}

mx::array keep_typical(const mx::array& logits, Rules rules) {
  const mx::array log_probs = log_probabilities(logits);
  const mx::array expected = entropy(log_probs);
  const mx::array distance =
      mx::where(is_left(logits), mx::abs(log_probs + expected), mx::array(kInfinity));
  const mx::array order = mx::argsort(distance, 1);  // stable
  const mx::array sorted = mx::take_along_axis(mx::exp(log_probs), order, 1);
  const mx::array mass_before = mx::cumsum(sorted, 1, /*reverse=*/false, /*inclusive=*/false);
  const mx::array typical_p = column(rules, &FilterRule::typical_p);
  const mx::array keep_sorted = mx::logical_or(
      mx::less(mass_before, typical_p), mx::greater_equal(typical_p, mx::array(1.0F))
  );
  return mask_out(
      logits, mx::put_along_axis(mx::zeros(logits.shape(), mx::bool_), order, keep_sorted, 1)
  );
}

mx::array leave_out_top(const mx::array& logits, Rules rules) {
  const mx::array threshold = column(rules, &FilterRule::xtc_threshold);
  const mx::array probabilities = mx::exp(log_probabilities(logits));
  const mx::array likely = mx::greater_equal(probabilities, threshold);
  const mx::array worst =
      mx::min(mx::where(likely, logits, mx::array(kInfinity)), 1, /*keepdims=*/true);
  // Of equal ones the highest id is the worst.
  const mx::array ids = mx::expand_dims(mx::arange(logits.shape(1)), 0);
  const mx::array last_id =
      mx::max(mx::where(mx::equal(logits, worst), ids, mx::array(-1)), 1, /*keepdims=*/true);
  const mx::array is_better = mx::logical_or(
      mx::greater(logits, worst), mx::logical_and(mx::equal(logits, worst), mx::less(ids, last_id))
  );
  const mx::array happens = mx::logical_and(
      mx::less(
          column(rules, &FilterRule::xtc_uniform), column(rules, &FilterRule::xtc_probability)
      ),
      mx::logical_and(
          mx::less_equal(threshold, mx::array(0.5F)),
          mx::greater_equal(count_in_row(likely), mx::array(2.0F))
      )
  );
  return mask_out(logits, mx::logical_not(mx::logical_and(happens, is_better)));
}

// Zipf's exponent is estimated from the best tokens; see Basu et al., algorithm 1.
mx::array keep_mirostat_1(const mx::array& logits, Rules rules) {
  constexpr int kNumEstimated = 100;
  const int vocab_size = logits.shape(1);
  const int num_used = std::min(kNumEstimated, vocab_size);
  const int num_rows = logits.shape(0);
  if (num_used < 2) return logits;
  const mx::array best =
      mx::negative(mx::slice(mx::sort(mx::negative(logits), 1), {0, 0}, {num_rows, num_used}));
  const mx::array upper = mx::slice(best, {0, 0}, {num_rows, num_used - 1});
  const mx::array lower = mx::slice(best, {0, 1}, {num_rows, num_used});
  std::vector<float> log_ratios;
  for (int i = 0; i + 1 < num_used; ++i)
    log_ratios.push_back(std::log(static_cast<float>(i + 2) / static_cast<float>(i + 1)));
  const mx::array ratios = mx::array(log_ratios.data(), mx::Shape{1, num_used - 1});
  const mx::array used = mx::where(is_left(lower), ratios, mx::array(0.0F));
  const mx::array differences = mx::where(is_left(lower), upper - lower, mx::array(0.0F));
  const mx::array squares = sum_of_row(used * used);
  const mx::array exponent =
      sum_of_row(used * differences) / mx::maximum(squares, mx::array(kLeastTemperature));
  const mx::array epsilon = exponent - mx::array(1.0F);
  const mx::array mu = column(rules, &FilterRule::mirostat_mu);
  const mx::array size(static_cast<float>(vocab_size));
  const mx::array count = mx::power(
      epsilon * mx::power(mx::array(2.0F), mu) /
          (mx::array(1.0F) - mx::power(size, mx::negative(epsilon))),
      mx::reciprocal(exponent)
  );
  // What is not a number keeps the best token only.
  const mx::array bounded = mx::where(
      mx::greater_equal(count, mx::array(1.0F)), mx::minimum(count, size), mx::array(1.0F)
  );
  return keep_best(logits, mx::astype(mx::floor(bounded), mx::int32), mx::array(1.0F));
}

mx::array keep_mirostat_2(const mx::array& logits, Rules rules) {
  const mx::array least =
      mx::power(mx::array(2.0F), mx::negative(column(rules, &FilterRule::mirostat_mu)));
  const mx::array is_known = mx::greater_equal(mx::exp(log_probabilities(logits)), least);
  const mx::array is_best = mx::equal(logits, largest_of_row(logits));
  return mask_out(logits, mx::logical_or(is_known, is_best));
}

mx::array apply(const mx::array& logits, SamplerKind kind, Rules rules) {
  switch (kind) {
    case SamplerKind::temperature:
      return apply_temperature(logits, rules);
    case SamplerKind::top_n_sigma:
      return keep_within_sigma(logits, rules);
    case SamplerKind::top_k:
      return keep_top_k(logits, rules);
    case SamplerKind::typical_p:
      return keep_typical(logits, rules);
    case SamplerKind::top_p:
      return keep_top_p(logits, rules);
    case SamplerKind::min_p:
      return keep_likely(logits, column(rules, &FilterRule::min_p));
    case SamplerKind::xtc:
      return leave_out_top(logits, rules);
  }
  return logits;
}

}  // namespace

mx::array filter_rows(const mx::array& logits, std::span<const FilterRule> rules) {
  const FilterRule& first = rules.front();
  mx::array kept = logits;
  for (std::size_t i = 0; i < first.num_filters; ++i) kept = apply(kept, first.order[i], rules);
  if (first.mirostat == 1) kept = keep_mirostat_1(kept, rules);
  if (first.mirostat == 2) kept = keep_mirostat_2(kept, rules);
  return kept;
}

mx::array surprises_of(const mx::array& kept, const mx::array& tokens) {
  const mx::array chosen =
      mx::take_along_axis(log_probabilities(kept), mx::expand_dims(tokens, 1), 1);
  return mx::flatten(chosen) * mx::array(-1.0F / std::log(2.0F));
}

}  // namespace mlxs
