// The one thing the engine's core knows of a model: it runs batches. MlxRunner is the real one,
// FakeRunner the tests'.
#pragma once

#include "engine/batch.h"

namespace mlxs {

// Thread safety: created, used and destroyed on the device thread only.
class Runner {
 public:
  Runner() = default;
  virtual ~Runner() = default;
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Computes keys and values of every row and draws a token for every sample.
  // RETURNS: one token per sample, after every error of the device has arrived.
  // ERRORS: any exception means that nothing of this batch may be used.
  [[nodiscard]] virtual StepResult run(const Batch& batch) = 0;
};

}  // namespace mlxs
