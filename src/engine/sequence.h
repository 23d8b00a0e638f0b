// One request while it runs: its tokens, its pages and how far it got. Plain integers; no text,
// device or thread.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx_serving/sampling.h"

namespace mlxs {

using SequenceId = std::uint64_t;

// num_computed <= token_ids.size() <= max_length. A sequence is in its prefill while num_computed +
// 1 < token_ids.size() or nothing was sampled yet; afterwards each step computes its last token and
// samples the next.
struct Sequence {
  SequenceId id = 0;
  std::vector<std::int32_t> token_ids = {};  // prompt, then output
  int num_prompt_tokens = 0;
  int num_computed = 0;                  // tokens whose keys and values are in the pages
  int max_length = 0;                    // token_ids never grows beyond this
  std::vector<std::int32_t> pages = {};  // in order of position; enough for max_length once it runs
  SamplingParams sampling = {};
  std::uint64_t seed = 0;
  bool is_paused = false;  // its reader is slow: not scheduled until the reader caught up

  [[nodiscard]] int num_tokens() const { return static_cast<int>(token_ids.size()); }
  [[nodiscard]] int num_output_tokens() const { return num_tokens() - num_prompt_tokens; }
  [[nodiscard]] int num_pending() const { return num_tokens() - num_computed; }
};

}  // namespace mlxs
