// Buckets keep the number of different replays small: powers of two, then steps of 32 and 64.
#include "kernels/cuda/step_plan.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace mlxs::cuda {
namespace {

constexpr int kTileRows = 64;  // of prefill_attention.cu
constexpr int kMinPageStride = 32;

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

void add_sequence(StepPlan& plan, const SequenceView& sequence, int index) {
  const PlanLayout& layout = plan.layout;
  std::int32_t* at = plan.integers.data();
  for (int row = 0; row < sequence.num_rows; ++row) {
    at[layout.positions() + sequence.first_row + row] = sequence.context_length + row;
    at[layout.long_rows() + sequence.first_row + row] = sequence.use_long_rope ? 1 : 0;
  }
  if (sequence.num_rows == 1) {
    at[layout.decode_items() + 2 * plan.num_decode] = sequence.first_row;
    at[layout.decode_items() + 2 * plan.num_decode + 1] = index;
    ++plan.num_decode;
    return;
  }
  for (int row = 0; row < sequence.num_rows; ++row) {
    at[layout.store_items() + 2 * plan.num_stored] = sequence.first_row + row;
    at[layout.store_items() + 2 * plan.num_stored + 1] = index;
    ++plan.num_stored;
  }
  for (int row = 0; row < sequence.num_rows; row += kTileRows) {
    std::int32_t* tile = at + layout.tiles() + 4 * plan.num_tiles;
    tile[0] = sequence.first_row + row;
    tile[1] = std::min(kTileRows, sequence.num_rows - row);
    tile[2] = index;
    tile[3] = sequence.context_length + row;
    ++plan.num_tiles;
  }
}

void add_tables(StepPlan& plan, const SequenceView& sequence, int index) {
  for (std::size_t group = 0; group < sequence.pages.size(); ++group) {
    std::int32_t* table = plan.integers.data() + plan.layout.tables(static_cast<int>(group)) +
                          static_cast<std::ptrdiff_t>(index) * plan.layout.page_stride;
    std::ranges::copy(sequence.pages[group], table);
  }
}

}  // namespace

int decode_bucket(int num_rows) {
  if (num_rows <= 16) return static_cast<int>(std::bit_ceil(static_cast<unsigned int>(num_rows)));
  if (num_rows <= 64) return round_up(num_rows, 16);
  return num_rows <= 256 ? round_up(num_rows, 32) : round_up(num_rows, 64);
}

StepPlan make_step_plan(const BatchView& batch) {
  StepPlan plan;
  int num_rows = 0;
  std::size_t num_pages = kMinPageStride;
  plan.is_decode = true;
  for (const SequenceView& sequence : batch.sequences()) {
    num_rows += sequence.num_rows;
    plan.is_decode = plan.is_decode && sequence.num_rows == 1;
    for (const auto& table : sequence.pages) num_pages = std::max(num_pages, table.size());
  }
  plan.num_tokens = num_rows;
  plan.is_decode = plan.is_decode && num_rows <= kMaxDecodeRows;
  const int num_sequences = static_cast<int>(batch.sequences().size());
  plan.layout = {
      .num_rows = plan.is_decode ? decode_bucket(num_rows) : num_rows,
      .num_sequences = plan.is_decode ? decode_bucket(num_rows) : num_sequences,
      .num_groups = static_cast<int>(batch.slots.size()),
      .page_stride = static_cast<int>(std::bit_ceil(num_pages))
  };
  plan.integers.resize(static_cast<std::size_t>(plan.layout.size()), 0);
  for (int index = 0; index < num_sequences; ++index) {
    const SequenceView& sequence = batch.sequences()[static_cast<std::size_t>(index)];
    add_sequence(plan, sequence, index);
    add_tables(plan, sequence, index);
  }
  plan.integers[static_cast<std::size_t>(plan.layout.stride())] = plan.layout.page_stride;
  // Padding rows have a place of their own and a position that the kernels skip.
  for (int row = num_rows; row < plan.layout.num_rows; ++row) {
    std::int32_t* at = plan.integers.data();
    at[plan.layout.positions() + row] = -1;
    at[plan.layout.decode_items() + 2 * row] = row;
    at[plan.layout.decode_items() + 2 * row + 1] = row;
    ++plan.num_decode;
  }
  return plan;
}

}  // namespace mlxs::cuda
