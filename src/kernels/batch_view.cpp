// Checks a batch's page tables once on the host and derives what the kernels index by.
#include "kernels/batch_view.h"

#include <mlx/dtype.h>
#include <spdlog/fmt/fmt.h>

#include <limits>
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

void check_sequence(
    const SequenceView& sequence, std::size_t index, std::int64_t num_rows_before, int page_size
) {
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
  const std::int64_t num_tokens = std::int64_t{sequence.context_length} + sequence.num_rows;
  const std::int64_t capacity = static_cast<std::int64_t>(sequence.pages.size()) * page_size;
  if (num_tokens > capacity)
    bad_batch(index, fmt::format("{} tokens in pages for {}", num_tokens, capacity));
}

void check_pages(const SequenceView& sequence, std::size_t index, int num_pages) {
  for (const std::int32_t page : sequence.pages) {
    if (page < 0 || page >= num_pages)
      bad_batch(index, fmt::format("page {} of {}", page, num_pages));
  }
}

mx::array int32_array(const std::vector<std::int32_t>& values) {
  return mx::array(values.data(), mx::Shape{static_cast<int>(values.size())}, mx::int32);
}

}  // namespace

BatchView make_batch_view(std::vector<SequenceView> sequences, int page_size, int num_pages) {
  if (page_size < 1 ||
      std::int64_t{page_size} * num_pages > std::numeric_limits<std::int32_t>::max()) {
    throw Error(
        ErrorCode::engine_error,
        fmt::format("[batch_view] {} pages of {} tokens", num_pages, page_size)
    );
  }
  std::vector<std::int32_t> slots;
  std::vector<std::uint8_t> long_rows;
  for (std::size_t index = 0; index < sequences.size(); ++index) {
    const SequenceView& sequence = sequences[index];
    check_sequence(sequence, index, static_cast<std::int64_t>(slots.size()), page_size);
    check_pages(sequence, index, num_pages);
    for (int row = 0; row < sequence.num_rows; ++row) {
      const int position = sequence.context_length + row;
      slots.push_back(
          sequence.pages[static_cast<std::size_t>(position / page_size)] * page_size +
          position % page_size
      );
      long_rows.push_back(sequence.use_long_rope ? 1 : 0);
    }
  }
  const mx::Shape rows{static_cast<int>(long_rows.size())};
  return BatchView{
      .sequences = std::move(sequences),
      .slots = int32_array(slots),
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
