// Checks a batch's page tables once on the host and derives what the kernels index by.
#include "kernels/batch_view.h"

#include <mlx/dtype.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "mlx_serving/error.h"

namespace mlxs {
namespace {

[[noreturn]] void bad_batch(std::size_t sequence, const std::string& what) {
  throw Error(
      ErrorCode::engine_error,
      fmt::format("[batch_view] sequence {}: {}; this is a bug of ours", sequence, what)
  );
}

void check_rows(const SequenceView& sequence, std::size_t index, std::int64_t num_rows_before) {
  if (sequence.first_row != num_rows_before) {
    bad_batch(
        index, fmt::format("its first row is {}, expected {}", sequence.first_row, num_rows_before)
    );
  }
  if (sequence.num_rows < 1 || sequence.context_length < 0) {
    bad_batch(
        index, fmt::format("{} rows after {} tokens", sequence.num_rows, sequence.context_length)
    );
  }
}

// The pages from the first that a row sees to the last that a row is stored in.
void check_pages(
    const SequenceView& sequence, std::size_t index, const PoolShape& shape, std::size_t group
) {
  const PageGroupShape& pool = shape.groups[group];
  const std::vector<std::int32_t>& pages = sequence.pages[group];
  const std::int64_t num_tokens = std::int64_t{sequence.context_length} + sequence.num_rows;
  const std::int64_t capacity = static_cast<std::int64_t>(pages.size()) * shape.page_size;
  if (num_tokens > capacity)
    bad_batch(index, fmt::format("{} tokens in pages for {}", num_tokens, capacity));
  const int first_seen =
      pool.window > 0 ? std::max(0, sequence.context_length - pool.window + 1) : 0;
  const auto first_page = static_cast<std::size_t>(first_seen / shape.page_size);
  for (std::size_t at = 0; at < pages.size(); ++at) {
    const bool is_absent = pages[at] < 0 && at >= first_page;
    if (is_absent || pages[at] >= pool.num_pages)
      bad_batch(index, fmt::format("page {} of {} in group {}", pages[at], pool.num_pages, group));
  }
}

void check_sequence(
    const SequenceView& sequence,
    std::size_t index,
    std::int64_t num_rows_before,
    const PoolShape& shape
) {
  check_rows(sequence, index, num_rows_before);
  if (sequence.pages.size() != shape.groups.size()) {
    bad_batch(
        index,
        fmt::format("{} page tables for {} groups", sequence.pages.size(), shape.groups.size())
    );
  }
  for (std::size_t group = 0; group < shape.groups.size(); ++group)
    check_pages(sequence, index, shape, group);
}

void check_shape(const PoolShape& shape) {
  const bool has_size = shape.page_size >= 1 && !shape.groups.empty();
  const bool can_be_indexed =
      has_size && std::ranges::all_of(shape.groups, [&shape](const PageGroupShape& group) {
        return std::int64_t{shape.page_size} * group.num_pages <=
               std::numeric_limits<std::int32_t>::max();
      });
  if (!can_be_indexed)
    throw Error(ErrorCode::engine_error, "[batch_view] a pool that cannot be indexed");
}

mx::array int32_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size())}, mx::int32);
}

std::vector<std::int32_t> group_slots(
    const std::vector<SequenceView>& sequences, int page_size, std::size_t group
) {
  std::vector<std::int32_t> slots;
  for (const SequenceView& sequence : sequences) {
    const std::vector<std::int32_t>& pages = sequence.pages[group];
    for (int row = 0; row < sequence.num_rows; ++row) {
      const int position = sequence.context_length + row;
      const std::int32_t page = pages[static_cast<std::size_t>(position / page_size)];
      slots.push_back(page * page_size + position % page_size);
    }
  }
  return slots;
}

}  // namespace

BatchView make_batch_view(std::vector<SequenceView> sequences, const PoolShape& shape) {
  check_shape(shape);
  std::vector<std::uint8_t> long_rows;
  for (std::size_t index = 0; index < sequences.size(); ++index) {
    const SequenceView& sequence = sequences[index];
    check_sequence(sequence, index, static_cast<std::int64_t>(long_rows.size()), shape);
    const std::uint8_t is_long = sequence.use_long_rope ? 1 : 0;
    long_rows.insert(long_rows.end(), static_cast<std::size_t>(sequence.num_rows), is_long);
  }
  std::vector<mx::array> slots;
  for (std::size_t group = 0; group < shape.groups.size(); ++group)
    slots.push_back(int32_array(group_slots(sequences, shape.page_size, group)));
  const mx::Shape rows{static_cast<int>(long_rows.size())};
  return BatchView{
      .sequences = std::move(sequences),
      .slots = std::move(slots),
      .long_rope_rows = mx::array(long_rows.data(), rows, mx::bool_)
  };
}

mx::array batch_positions(const BatchView& batch) {
  std::vector<std::int32_t> positions;
  for (const SequenceView& sequence : batch.sequences) {
    for (int row = 0; row < sequence.num_rows; ++row)
      positions.push_back(sequence.context_length + row);
  }
  return int32_array(positions);
}

}  // namespace mlxs
