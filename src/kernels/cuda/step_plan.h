// A batch as the kernels read it: one run of integers, copied to the device before each step.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/batch_view.h"

namespace mlxs::cuda {

// Offsets into StepPlan::integers.
struct PlanLayout {
  int num_rows = 0;       // R, padding included
  int num_sequences = 0;  // padding included
  int num_groups = 0;
  int page_stride = 0;  // pages a sequence in each table

  [[nodiscard]] int positions() const { return 0; }
  [[nodiscard]] int long_rows() const { return num_rows; }
  [[nodiscard]] int decode_items() const { return 2 * num_rows; }
  [[nodiscard]] int store_items() const { return 4 * num_rows; }
  [[nodiscard]] int tiles() const { return 6 * num_rows; }
  [[nodiscard]] int stride() const { return 10 * num_rows; }
  [[nodiscard]] int tables(int group) const {
    return 10 * num_rows + 4 + group * num_sequences * page_stride;
  }
  [[nodiscard]] int size() const { return tables(num_groups); }
};

struct StepPlan {
  PlanLayout layout;
  int num_tokens = 0;      // rows without padding
  int num_decode = 0;      // rows that are their sequence's only one, padding included
  int num_stored = 0;      // rows of longer runs
  int num_tiles = 0;       // of up to 64 rows of one sequence
  bool is_decode = false;  // nothing but one row a sequence: the step can be replayed
  std::vector<std::int32_t> integers;
};

inline constexpr int kMaxDecodeRows = 512;  // more are run without replay

// RETURNS: the rows that a step of `num_rows` decodes is filled up to.
[[nodiscard]] int decode_bucket(int num_rows);

[[nodiscard]] StepPlan make_step_plan(const BatchView& batch);

}  // namespace mlxs::cuda
