// Positions say what is new: steps complete in order.
#include "engine/prompt_output.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/event_stream.h"
#include "engine/sequence.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {

void PromptOutput::add(const PromptScore& score) {
  if (score.position == static_cast<int>(logprobs_.size()) + 1) logprobs_.push_back(score.logprobs);
}

void PromptOutput::add(const PooledRows& rows) {
  const bool is_mean = options_.pooling == Pooling::mean;
  // From the start again: it was preempted.
  if (rows.pool.first_position == 0 || !is_mean) {
    sums_.assign(rows.sum.size(), 0.0);
    num_pooled_ = 0;
  }
  if (is_mean && rows.pool.first_position != num_pooled_) return;
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += double{rows.sum[i]};
  num_pooled_ += rows.pool.num_rows;
}

void PromptOutput::tell(const Sequence& sequence, EventStream& stream) {
  if (!options_.has_logprobs && !options_.returns_ids) return;
  std::vector<std::int32_t> ids;
  if (options_.returns_ids) {
    ids.assign(sequence.token_ids.begin(), sequence.token_ids.begin() + sequence.num_prompt_tokens);
  }
  stream.tell_prompt(std::move(ids), std::exchange(logprobs_, {}));
}

std::vector<float> PromptOutput::take_embedding() const {
  std::vector<float> mean;
  mean.reserve(sums_.size());
  for (const double sum : sums_) mean.push_back(static_cast<float>(sum / num_pooled_));
  return mean;
}

}  // namespace mlxs
