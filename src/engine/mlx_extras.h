// What few requests ask a step for beside its tokens: log probabilities and pooled hidden states.
// Enqueued with the step, read once it is done.
#pragma once

#include <vector>

#include "engine/batch.h"
#include "kernels/mx.h"
#include "model/model.h"
#include "sampling/sample.h"
#include "sampling/score.h"

namespace mlxs {

// THREADS: as Runner's.
class StepExtras {
 public:
  // Of the step's samples. logits [B, V] float32: as the model gave them.
  void add_samples(const Batch& batch, const mx::array& logits, const Sampled& sampled);

  // Of prompts, hidden [T, E]: the step's rows.
  void add_prompts(const Batch& batch, const mx::array& hidden, const Model& model);
  void add_pools(const Batch& batch, const mx::array& hidden, const Model& model);

  // What has to be evaluated.
  [[nodiscard]] std::vector<mx::array> arrays() const;

  // Fills in what was asked for. REQUIRES: the arrays are available, result.tokens is filled in.
  void read_into(StepResult& result) const;

 private:
  // Of samples, in the order of the rows.
  struct SampleScores {
    Scores scores;
    std::vector<int> samples;
    std::vector<int> num_told;
  };
  struct PromptScores {
    Scores scores;
    std::vector<BatchScore> rows;
  };
  struct Pooled {
    BatchPool pool;
    mx::array sum;  // [E] float32
  };

  std::vector<SampleScores> samples_;
  std::vector<PromptScores> prompts_;
  std::vector<Pooled> pools_;
};

}  // namespace mlxs
