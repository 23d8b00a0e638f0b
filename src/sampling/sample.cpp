// The chain; each link is built only where some row asks for it.
#include "sampling/sample.h"

#include <mlx/ops.h>
#include <mlx/utils.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/choose_token/choose_token.h"
#include "kernels/token_mask/token_mask.h"
#include "mlx_serving/error.h"
#include "sampling/filters.h"
#include "sampling/penalties.h"
#include "sampling/sampling_batch.h"

namespace mlxs {
namespace {

template <typename Member>
std::vector<Member> column(const SamplingBatch& batch, Member SamplingRow::* member) {
  std::vector<Member> values;
  values.reserve(batch.rows.size());
  for (const SamplingRow& row : batch.rows) values.push_back(row.*member);
  return values;
}

// [B, 1]
template <typename T>
mx::array column_array(const std::vector<T>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size()), 1});
}

bool any_row(const SamplingBatch& batch, bool (*predicate)(const SamplingRow&)) {
  return std::ranges::any_of(batch.rows, predicate);
}

mx::array divide_by_temperature(const mx::array& logits, const SamplingBatch& batch) {
  std::vector<float> temperatures = column(batch, &SamplingRow::temperature);
  std::ranges::replace(temperatures, 0.0F, 1.0F);  // greedy rows are not drawn
  return logits / column_array(temperatures);
}

// Logits of the tokens that may be drawn; the others become -infinity.
mx::array filter(const mx::array& logits, const SamplingBatch& batch) {
  mx::array kept = logits;
  const int vocab_size = logits.shape(1);
  std::vector<int> top_k = column(batch, &SamplingRow::top_k);
  for (int& k : top_k) k = k <= 0 ? vocab_size : std::min(k, vocab_size);
  const std::vector<float> top_p = column(batch, &SamplingRow::top_p);
  const bool needs_order =
      std::ranges::any_of(top_k, [vocab_size](int k) { return k < vocab_size; }) ||
      std::ranges::any_of(top_p, [](float p) { return p < 1.0F; });
  if (needs_order) kept = keep_best(kept, column_array(top_k), column_array(top_p));
  if (any_row(batch, [](const SamplingRow& row) { return row.min_p > 0.0F; })) {
    kept = keep_likely(kept, column_array(column(batch, &SamplingRow::min_p)));
  }
  return kept;
}

mx::array best_tokens(const mx::array& logits) {
  return mx::astype(mx::argmax(logits, 1), mx::int32);
}

mx::array choose(const mx::array& logits, const SamplingBatch& batch) {
  const bool has_greedy = any_row(batch, [](const SamplingRow& row) { return row.is_greedy(); });
  const bool has_drawn = any_row(batch, [](const SamplingRow& row) { return !row.is_greedy(); });
  if (!has_drawn) return best_tokens(logits);
  const mx::array kept = filter(divide_by_temperature(logits, batch), batch);
  mx::array drawn = draw(kept, column_array(column(batch, &SamplingRow::uniform)));
  if (!has_greedy) return drawn;
  const mx::array temperatures =
      mx::flatten(column_array(column(batch, &SamplingRow::temperature)));
  return mx::where(mx::equal(temperatures, mx::array(0.0F)), best_tokens(logits), drawn);
}

std::vector<TokenRule> rules_of(const SamplingBatch& batch) {
  std::vector<TokenRule> rules;
  rules.reserve(batch.rows.size());
  for (const SamplingRow& row : batch.rows) {
    rules.push_back(
        {.temperature = row.temperature,
         .top_k = row.top_k,
         .top_p = row.top_p,
         .min_p = row.min_p,
         .uniform = row.uniform}
    );
  }
  return rules;
}

void check(const mx::array& logits, const SamplingBatch& batch) {
  const bool fits = logits.ndim() == 2 && !batch.rows.empty() && logits.dtype() == mx::float32 &&
                    static_cast<std::size_t>(logits.shape(0)) == batch.rows.size();
  if (!fits) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format(
            "[sample] needs logits [B, V] float32 with B = {} rows; this is a bug of ours",
            batch.rows.size()
        )
    );
  }
}

mx::array adjust(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  const mx::array adjusted = apply_penalties(apply_logit_bias(logits, batch), batch, in_flight);
  std::vector<TokenMask> masks;
  masks.reserve(batch.rows.size());
  for (const SamplingRow& row : batch.rows) masks.emplace_back(row.mask);
  return apply_token_masks(adjusted, masks, batch.cpu);
}

}  // namespace

Sampled sample_reference(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  check(logits, batch);
  return Sampled{
      .tokens = choose(adjust(logits, batch, in_flight), batch),
      .valid = mx::isfinite(mx::logsumexp(logits, 1))
  };
}

Sampled sample(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  if (mx::to_stream({}).device != mx::Device::cpu)
    return sample_reference(logits, batch, in_flight);
  check(logits, batch);
  const ChosenTokens chosen =
      choose_tokens(adjust(logits, batch, in_flight), logits, rules_of(batch), batch.cpu);
  return Sampled{.tokens = chosen.tokens, .valid = chosen.valid};
}

}  // namespace mlxs
