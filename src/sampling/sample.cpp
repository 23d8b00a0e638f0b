// The chain; each link is built only where some row asks for it.
#include "sampling/sample.h"

#include <mlx/ops.h>
#include <mlx/utils.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/choose_token/choose_row.h"
#include "kernels/choose_token/choose_token.h"
#include "kernels/choose_token/filter_row.h"
#include "kernels/token_mask/token_mask.h"
#include "mlx_serving/error.h"
#include "sampling/filters.h"
#include "sampling/penalties.h"
#include "sampling/row_filters.h"
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

std::vector<ChooseRule> rules_of(const SamplingBatch& batch) {
  std::vector<ChooseRule> rules;
  rules.reserve(batch.rows.size());
  for (const SamplingRow& row : batch.rows) {
    const TokenRule plain{
        .temperature = row.temperature,
        .top_k = row.top_k,
        .top_p = row.top_p,
        .min_p = row.min_p,
        .uniform = row.uniform
    };
    rules.push_back({.plain = plain, .filters = row.filters, .is_kept = row.is_kept});
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
  const mx::array allowed = keep_allowed(apply_logit_bias(logits, batch), batch);
  const mx::array adjusted = subtract_entries(apply_penalties(allowed, batch, in_flight), batch);
  std::vector<TokenMask> masks;
  masks.reserve(batch.rows.size());
  for (const SamplingRow& row : batch.rows) masks.emplace_back(row.mask);
  return apply_token_masks(adjusted, masks, batch.cpu);
}

// Rows that go through the same filters in the same order.
struct RowGroup {
  std::vector<std::int32_t> rows;
  std::vector<FilterRule> rules;

  [[nodiscard]] bool takes(const FilterRule& rule) const {
    const FilterRule& first = rules.front();
    return first.order == rule.order && first.num_filters == rule.num_filters &&
           first.mirostat == rule.mirostat;
  }
};

std::vector<RowGroup> groups_of(const SamplingBatch& batch) {
  std::vector<RowGroup> groups;
  for (std::size_t row = 0; row < batch.rows.size(); ++row) {
    const std::optional<FilterRule>& rule = batch.rows[row].filters;
    if (!rule) continue;
    auto group =
        std::ranges::find_if(groups, [&rule](const auto& other) { return other.takes(*rule); });
    if (group == groups.end()) group = groups.insert(groups.end(), RowGroup{});
    group->rows.push_back(static_cast<std::int32_t>(row));
    group->rules.push_back(*rule);
  }
  return groups;
}

mx::array index_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size())}, mx::int32);
}

// What rows with filters draw, in place of what the plain chain drew for them.
Sampled choose_all(const mx::array& logits, const SamplingBatch& batch) {
  const std::vector<RowGroup> groups = groups_of(batch);
  const auto num_rows = static_cast<int>(batch.rows.size());
  Sampled sampled{
      .tokens = choose(logits, batch),
      .valid = mx::array(true),
      .surprises = mx::zeros({num_rows}, mx::float32),
      .kept = mx::zeros({0, logits.shape(1)}, mx::float32)
  };
  if (groups.empty()) return sampled;
  std::vector<mx::array> tokens{sampled.tokens};
  std::vector<mx::array> surprises{sampled.surprises};
  std::vector<mx::array> kept;
  std::vector<std::int32_t> place(batch.rows.size());  // of a row, in the concatenated arrays
  for (std::size_t row = 0; row < place.size(); ++row) place[row] = static_cast<std::int32_t>(row);
  std::int32_t size = num_rows;
  for (const RowGroup& group : groups) {
    kept.push_back(filter_rows(mx::take(logits, index_array(group.rows), 0), group.rules));
    std::vector<float> uniforms;
    for (const FilterRule& rule : group.rules) uniforms.push_back(rule.uniform);
    tokens.push_back(draw(kept.back(), column_array(uniforms)));
    surprises.push_back(surprises_of(kept.back(), tokens.back()));
    for (const std::int32_t row : group.rows) place[static_cast<std::size_t>(row)] = size++;
  }
  sampled.tokens = mx::take(mx::concatenate(tokens, 0), index_array(place), 0);
  sampled.surprises = mx::take(mx::concatenate(surprises, 0), index_array(place), 0);
  std::vector<std::int32_t> kept_places;
  for (std::size_t row = 0; row < place.size(); ++row) {
    if (batch.rows[row].is_kept) kept_places.push_back(place[row] - num_rows);
  }
  if (!kept_places.empty())
    sampled.kept = mx::take(mx::concatenate(kept, 0), index_array(kept_places), 0);
  return sampled;
}

}  // namespace

Sampled sample_reference(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  check(logits, batch);
  Sampled sampled = choose_all(adjust(logits, batch, in_flight), batch);
  sampled.valid = mx::isfinite(mx::logsumexp(logits, 1));
  return sampled;
}

Sampled sample(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  if (mx::to_stream({}).device != mx::Device::cpu)
    return sample_reference(logits, batch, in_flight);
  check(logits, batch);
  const ChosenTokens chosen =
      choose_tokens(adjust(logits, batch, in_flight), logits, rules_of(batch), batch.cpu);
  return Sampled{
      .tokens = chosen.tokens,
      .valid = chosen.valid,
      .surprises = chosen.surprises,
      .kept = chosen.kept
  };
}

}  // namespace mlxs
