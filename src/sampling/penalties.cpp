// Entries are collected on the host, in order of row and token, and applied by one gather and one
// scatter.
#include "sampling/penalties.h"

#include <mlx/ops.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Positions in the logits, without repeats.
struct Entries {
  std::vector<std::int32_t> rows;
  std::vector<std::int32_t> tokens;

  [[nodiscard]] mx::Shape shape() const { return {static_cast<int>(rows.size())}; }
  [[nodiscard]] std::vector<mx::array> indices() const {
    return {
        mx::array(rows.data(), shape(), mx::int32), mx::array(tokens.data(), shape(), mx::int32)
    };
  }
};

mx::array host_array(const std::vector<float>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size())}, mx::float32);
}

void check_token(std::int32_t token, int vocab_size) {
  if (token >= 0 && token < vocab_size) return;
  throw Error(
      ErrorCode::engine_error,
      fmt::format(
          "[sample] token {} of a vocabulary of {}; requests are to be checked before",
          token,
          vocab_size
      )
  );
}

mx::array read_entries(const mx::array& logits, const Entries& entries) {
  return mx::reshape(mx::gather(logits, entries.indices(), {0, 1}, {1, 1}), entries.shape());
}

mx::array write_entries(const mx::array& logits, const Entries& entries, const mx::array& values) {
  const mx::Shape update_shape{entries.shape()[0], 1, 1};
  return mx::scatter(logits, entries.indices(), mx::reshape(values, update_shape), {0, 1});
}

// Tokens that a row's penalties concern, with the number of times that each is in the output.
std::map<std::int32_t, int> seen_tokens(const SamplingRow& row, int vocab_size) {
  std::map<std::int32_t, int> num_outputs;
  if (row.repetition_penalty != 1.0F) {
    for (const std::int32_t token : row.prompt_tokens) num_outputs[token] = 0;
  }
  for (const std::int32_t token : row.output_tokens) ++num_outputs[token];
  for (const auto& entry : num_outputs) check_token(entry.first, vocab_size);
  return num_outputs;
}

// What the host knows of a batch's penalties, row by row, for tokens that it does not know.
struct RowPenalties {
  mx::array repetition;  // [B, 1]
  mx::array presence;    // [B, 1]
  mx::array frequency;   // [B, 1]
  mx::array outputs;     // [B, L] int32: the known output of rows with penalties, -1 beyond
};

RowPenalties row_penalties(const SamplingBatch& batch) {
  std::size_t longest = 1;
  for (const SamplingRow& row : batch.rows) {
    if (row.has_penalty()) longest = std::max(longest, row.output_tokens.size());
  }
  std::vector<float> repetition;
  std::vector<float> presence;
  std::vector<float> frequency;
  std::vector<std::int32_t> outputs;
  for (const SamplingRow& row : batch.rows) {
    repetition.push_back(row.repetition_penalty);
    presence.push_back(row.presence_penalty);
    frequency.push_back(row.frequency_penalty);
    const std::size_t first = outputs.size();
    if (row.has_penalty())
      outputs.insert(outputs.end(), row.output_tokens.begin(), row.output_tokens.end());
    outputs.resize(first + longest, -1);
  }
  const mx::Shape column{static_cast<int>(batch.rows.size()), 1};
  const mx::Shape table{static_cast<int>(batch.rows.size()), static_cast<int>(longest)};
  return {
      .repetition = mx::reshape(host_array(repetition), column),
      .presence = mx::reshape(host_array(presence), column),
      .frequency = mx::reshape(host_array(frequency), column),
      .outputs = mx::array(outputs.data(), table, mx::int32)
  };
}

mx::array repeat_penalty(const mx::array& values, const mx::array& factor) {
  return mx::where(mx::greater(values, mx::array(0.0F)), values / factor, values * factor);
}

// A token in flight is in the output, however often the host knows it to be there: its value is
// computed anew from the logits before any penalty.
mx::array penalize_in_flight(
    const mx::array& penalized,
    const mx::array& logits,
    const SamplingBatch& batch,
    const std::vector<mx::array>& in_flight
) {
  const RowPenalties rows = row_penalties(batch);
  mx::array result = penalized;
  for (const mx::array& newest : in_flight) {
    const mx::array token = mx::expand_dims(newest, 1);  // [B, 1]
    const mx::array is_there = mx::greater_equal(token, mx::array(0));
    const mx::array index = mx::maximum(token, mx::array(0));
    mx::array count =
        mx::sum(mx::astype(mx::equal(rows.outputs, token), mx::float32), 1, /*keepdims=*/true);
    for (const mx::array& other : in_flight)
      count = count + mx::astype(mx::equal(mx::expand_dims(other, 1), token), mx::float32);
    const mx::array value = repeat_penalty(mx::take_along_axis(logits, index, 1), rows.repetition) -
                            (rows.presence + rows.frequency * count);
    const mx::array kept = mx::take_along_axis(result, index, 1);
    result = mx::put_along_axis(result, index, mx::where(is_there, value, kept), 1);
  }
  return result;
}

}  // namespace

mx::array apply_logit_bias(const mx::array& logits, const SamplingBatch& batch) {
  Entries entries;
  std::vector<float> added;
  for (std::size_t row = 0; row < batch.rows.size(); ++row) {
    std::map<std::int32_t, float> sums;
    for (const auto& [token, value] : batch.rows[row].logit_bias) sums[token] += value;
    for (const std::int32_t token : batch.rows[row].banned_tokens) sums[token] = -kInfinity;
    for (const auto& [token, value] : sums) {
      check_token(token, logits.shape(1));
      entries.rows.push_back(static_cast<std::int32_t>(row));
      entries.tokens.push_back(token);
      added.push_back(value);
    }
  }
  if (added.empty()) return logits;
  return write_entries(logits, entries, read_entries(logits, entries) + host_array(added));
}

mx::array keep_allowed(const mx::array& logits, const SamplingBatch& batch) {
  Entries entries;
  std::vector<float> is_free;  // 0: the row has no such rule
  for (std::size_t row = 0; row < batch.rows.size(); ++row) {
    is_free.push_back(batch.rows[row].allowed_tokens.empty() ? 0.0F : -kInfinity);
    for (const std::int32_t token : batch.rows[row].allowed_tokens) {
      check_token(token, logits.shape(1));
      entries.rows.push_back(static_cast<std::int32_t>(row));
      entries.tokens.push_back(token);
    }
  }
  if (entries.rows.empty()) return logits;
  const mx::Shape column{static_cast<int>(is_free.size()), 1};
  const mx::array masked = logits + mx::reshape(host_array(is_free), column);
  return write_entries(masked, entries, read_entries(logits, entries));
}

mx::array subtract_entries(const mx::array& logits, const SamplingBatch& batch) {
  Entries entries;
  std::vector<float> subtracted;
  for (std::size_t row = 0; row < batch.rows.size(); ++row) {
    for (const auto& [token, value] : batch.rows[row].subtracted) {
      check_token(token, logits.shape(1));
      entries.rows.push_back(static_cast<std::int32_t>(row));
      entries.tokens.push_back(token);
      subtracted.push_back(value);
    }
  }
  if (subtracted.empty()) return logits;
  return write_entries(logits, entries, read_entries(logits, entries) - host_array(subtracted));
}

mx::array apply_penalties(
    const mx::array& logits, const SamplingBatch& batch, const std::vector<mx::array>& in_flight
) {
  Entries entries;
  std::vector<float> factors;
  std::vector<float> subtracted;
  for (std::size_t index = 0; index < batch.rows.size(); ++index) {
    const SamplingRow& row = batch.rows[index];
    if (!row.has_penalty()) continue;
    for (const auto& [token, num_outputs] : seen_tokens(row, logits.shape(1))) {
      entries.rows.push_back(static_cast<std::int32_t>(index));
      entries.tokens.push_back(token);
      factors.push_back(row.repetition_penalty);
      const float presence = num_outputs > 0 ? row.presence_penalty : 0.0F;
      subtracted.push_back(presence + row.frequency_penalty * static_cast<float>(num_outputs));
    }
  }
  mx::array penalized = logits;
  if (!factors.empty()) {
    const mx::array repeated = repeat_penalty(read_entries(logits, entries), host_array(factors));
    penalized = write_entries(logits, entries, repeated - host_array(subtracted));
  }
  const bool has_penalty = std::ranges::any_of(batch.rows, &SamplingRow::has_penalty);
  if (!has_penalty || in_flight.empty()) return penalized;
  return penalize_in_flight(penalized, logits, batch, in_flight);
}

}  // namespace mlxs
