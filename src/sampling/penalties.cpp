// Entries are collected on the host, in order of row and token, and applied by one gather and one
// scatter.
#include "sampling/penalties.h"

#include <mlx/ops.h>
#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <map>
#include <vector>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

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

}  // namespace

mx::array apply_logit_bias(const mx::array& logits, const SamplingBatch& batch) {
  Entries entries;
  std::vector<float> added;
  for (std::size_t row = 0; row < batch.rows.size(); ++row) {
    std::map<std::int32_t, float> sums;
    for (const auto& [token, value] : batch.rows[row].logit_bias) sums[token] += value;
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

mx::array apply_penalties(const mx::array& logits, const SamplingBatch& batch) {
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
  if (factors.empty()) return logits;
  const mx::array values = read_entries(logits, entries);
  const mx::array factor = host_array(factors);
  const mx::array repeated =
      mx::where(mx::greater(values, mx::array(0.0F)), values / factor, values * factor);
  return write_entries(logits, entries, repeated - host_array(subtracted));
}

}  // namespace mlxs
