// What one step runs: a flat ragged batch. Rows of all sequences lie one after the other; page
// tables say where each sequence's keys and values are. Integers only, so that the scheduler and
// its tests need no device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sequence.h"

namespace mlxs {

// A run of rows of one sequence. Valid until the scheduler changes the sequence, that is within the
// step.
struct BatchSlice {
  SequenceId sequence = 0;
  int first_row = 0;
  int num_rows = 0;
  int context_length = 0;  // tokens of the sequence before the first row
  int max_length = 0;      // of the sequence, in tokens; decides which longrope factors it uses
  std::span<const std::int32_t> pages = {};
};

// A row whose logits are needed: the last one of a slice that has computed all of its sequence's
// tokens.
struct BatchSample {
  SequenceId sequence = 0;
  int row = 0;
  std::uint64_t seed = 0;
  const SamplingParams* params = nullptr;
  std::span<const std::int32_t> prompt_ids = {};
  std::span<const std::int32_t> output_ids = {};
};

struct Batch {
  std::vector<std::int32_t> token_ids = {};  // [T]
  std::vector<std::int32_t> positions = {};  // [T]
  std::vector<BatchSlice> slices = {};
  std::vector<BatchSample> samples = {};

  [[nodiscard]] bool is_empty() const { return slices.empty(); }
};

struct SampledToken {
  std::int32_t id = 0;
  bool is_finite = true;  // false: the logits held NaN or infinity and `id` means nothing
};

// tokens[i] answers Batch::samples[i].
struct StepResult {
  std::vector<SampledToken> tokens = {};
};

}  // namespace mlxs
