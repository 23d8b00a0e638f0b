// A device that keeps token ids where a real one keeps keys and values, and takes virtual time. A
// page, position or neighbour that is mixed up is found at the next sample, or changes the text.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "cache/page_layout.h"
#include "engine/batch.h"

namespace mlxs {

// Seconds of a step: base + the sum of its rows' costs.
struct SimCost {
  double base_s = 0.004;
  double decode_row_s = 0.0001;
  double prefill_row_s = 0.0001;
  double context_token_s = 2e-9;  // for each token that a row attends to
};

enum class SimChecks {
  all,
  none,  // a step in flight before this one failed, so some of it computes on rubbish
};

class SimDevice {
 public:
  SimDevice(CacheLayout layout, int host_pages, SimCost cost = {});

  // Runs a batch in the order of its parts.
  // RETURNS: a token for each sample. ERRORS: std::logic_error where pages do not hold what the
  // sequence's tokens are.
  [[nodiscard]] std::vector<SampledToken> run(
      const Batch& batch, SimChecks checks = SimChecks::all
  );

  // Runs a batch that fails: its pages hold rubbish afterwards, and its samples too.
  void run_failing(const Batch& batch);

  [[nodiscard]] std::chrono::nanoseconds duration(const Batch& batch) const;

  // RETURNS: the token that follows `token_ids`.
  [[nodiscard]] static std::int32_t next_token(
      std::span<const std::int32_t> token_ids, std::uint64_t seed
  );

 private:
  using Page = std::vector<std::int32_t>;  // [page_size]
  using Ids = std::vector<std::int32_t>;

  void move_pages(const Batch& batch);
  void write_rows(const Batch& batch);
  // Puts `id` where the token at `position` belongs, in every group.
  void write(const BatchSlice& slice, int position, std::int32_t id);
  [[nodiscard]] Ids known_tokens(const BatchSample& sample) const;
  [[nodiscard]] const BatchSlice& slice_of(const Batch& batch, int row) const;
  void check_pages(const BatchSlice& slice, std::span<const std::int32_t> token_ids) const;

  CacheLayout layout_;
  SimCost cost_;
  std::vector<std::vector<Page>> pages_;  // [group][page]
  std::vector<std::vector<Page>> host_;   // [group][slot]
  std::map<std::uint64_t, Ids> samples_;  // of the newest steps
};

}  // namespace mlxs
