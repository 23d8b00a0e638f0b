// What a request is told of its own prompt: log probabilities, its ids, its embedding. Gathered
// step by step; a prompt that is computed again after a preemption is not told twice.
#pragma once

#include <optional>
#include <vector>

#include "engine/batch.h"
#include "engine/event_stream.h"
#include "engine/sequence.h"
#include "mlx_serving/event.h"
#include "mlx_serving/request.h"

namespace mlxs {

struct PromptOutputOptions {
  std::optional<Pooling> pooling = {};
  bool has_logprobs = false;
  bool returns_ids = false;
};

// Thread safety: none.
class PromptOutput {
 public:
  explicit PromptOutput(const PromptOutputOptions& options) : options_(options) {}

  void add(const PromptScore& score);
  void add(const PooledRows& rows);

  // Hands to the stream what was asked for. To be called once, before the first token.
  void tell(const Sequence& sequence, EventStream& stream);

  [[nodiscard]] bool is_pooled() const { return options_.pooling.has_value(); }
  [[nodiscard]] std::vector<float> take_embedding() const;

 private:
  PromptOutputOptions options_;
  std::vector<TokenLogprobs> logprobs_;  // of positions 1, 2, ..
  std::vector<double> sums_;             // [E]
  int num_pooled_ = 0;                   // rows in the sums
};

}  // namespace mlxs
