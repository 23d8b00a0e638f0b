// What one step runs: a flat ragged batch. Rows of all sequences lie one after the other; page
// tables say where each sequence's keys and values are. Integers only, so that the scheduler and
// its tests need no device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cache/page_layout.h"
#include "engine/sequence.h"
#include "mlx_serving/event.h"

namespace mlxs {

class MaskJob;

// A run of rows of one sequence.
struct BatchSlice {
  SequenceId sequence = 0;
  int first_row = 0;
  int num_rows = 0;
  int context_length = 0;  // tokens of the sequence before the first row
  int max_length = 0;      // of the sequence, in tokens; decides which longrope factors it uses
  const PageTables* pages = nullptr;
};

// The token of `row` is not known on the host yet: it is sample `sample` of step `step`, which is
// still in flight.
struct TokenFeed {
  int row = 0;
  std::uint64_t step = 0;
  int sample = 0;
};

struct TokenRef {
  std::uint64_t step = 0;
  int sample = 0;
};

// A row whose logits are needed.
struct BatchSample {
  SequenceId sequence = 0;
  int row = 0;
  std::uint64_t seed = 0;
  const SamplingParams* params = nullptr;
  const TokenRules* rules = nullptr;  // null: none
  float mirostat_mu = 0.0F;
  std::span<const std::int32_t> prompt_ids = {};
  std::span<const std::int32_t> output_ids = {};  // known on the host
  std::vector<TokenRef> in_flight = {};  // sampled after output_ids, not known yet; oldest first
  // The tokens that may come, which other threads also hold; the engine adds it. Null: every token.
  std::shared_ptr<MaskJob> mask = {};
};

// A row whose logits tell the log probability of the prompt's token at `position`.
struct BatchScore {
  SequenceId sequence = 0;
  int row = 0;
  int position = 0;
  std::int32_t target = 0;  // that token
  int num_top = 0;
};

// Rows whose hidden states, after the final norm, are added up.
struct BatchPool {
  SequenceId sequence = 0;
  int first_row = 0;
  int num_rows = 0;
  int first_position = 0;
};

// Between a page of the device and a slot of host memory.
struct PageMove {
  int group = 0;
  std::int32_t page = kNoPage;
  std::int32_t host_slot = 0;
};

// The device does swap_out, then copies, then swap_in, each in order, then the rows.
struct Batch {
  std::uint64_t step = 0;
  std::vector<std::int32_t> token_ids = {};  // [T]; 0 where fed
  std::vector<std::int32_t> positions = {};  // [T]
  std::vector<TokenFeed> feeds = {};
  std::vector<BatchSlice> slices = {};
  std::vector<BatchSample> samples = {};
  std::vector<BatchScore> scores = {};
  std::vector<BatchPool> pools = {};
  std::vector<PageCopy> copies = {};
  std::vector<PageMove> swap_out = {};
  std::vector<PageMove> swap_in = {};

  [[nodiscard]] bool is_empty() const { return slices.empty(); }
};

struct SampledToken {
  std::int32_t id = 0;
  bool is_finite = true;  // false: the logits held NaN or infinity and `id` means nothing
  float surprise = 0.0F;  // Sampled::surprises, for mirostat
  // where they are asked for; shared by the copies of a report
  std::shared_ptr<const TokenLogprobs> logprobs = {};
};

struct PromptScore {
  SequenceId sequence = 0;
  int position = 0;
  TokenLogprobs logprobs = {};
};

struct PooledRows {
  BatchPool pool = {};
  std::vector<float> sum = {};  // [E]
};

// tokens[i] answers Batch::samples[i], the others Batch::scores and pools.
struct StepResult {
  std::vector<SampledToken> tokens = {};
  std::vector<PromptScore> prompt_scores = {};
  std::vector<PooledRows> pools = {};
};

}  // namespace mlxs
