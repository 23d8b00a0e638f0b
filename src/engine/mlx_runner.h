// Runs batches on a model with MLX: makes the arrays, calls the model and the sampler, and
// evaluates once.
#pragma once

#include "engine/runner.h"
#include "kernels/batch_view.h"
#include "model/model.h"

namespace mlxs {

// Thread safety: as Runner's.
class MlxRunner final : public Runner {
 public:
  MlxRunner(Model model, KvPages pages);

  [[nodiscard]] StepResult run(const Batch& batch) override;

 private:
  [[nodiscard]] BatchView view_of(const Batch& batch) const;

  Model model_;
  KvPages pages_;
};

}  // namespace mlxs
