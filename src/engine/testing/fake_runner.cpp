// The pages hold token ids instead of keys and values.
#include "engine/testing/fake_runner.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "engine/batch.h"

namespace mlxs {
namespace {

constexpr std::int32_t kEmpty = -1;

}  // namespace

FakeRunner::FakeRunner(FakeRunnerOptions options)
    : options_(std::move(options)),
      slots_(
          static_cast<std::size_t>(options_.num_pages) *
              static_cast<std::size_t>(options_.page_size),
          kEmpty
      ) {}

// FNV-1a over the ids, http://www.isthe.com/chongo/tech/comp/fnv/.
std::int32_t FakeRunner::next_token(std::span<const std::int32_t> token_ids, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037ULL ^ seed;
  for (const std::int32_t id : token_ids)
    hash = (hash ^ static_cast<std::uint32_t>(id)) * 1099511628211ULL;
  return 'a' + static_cast<std::int32_t>((hash >> 32U) % 26U);
}

std::size_t FakeRunner::slot(const BatchSlice& slice, int position) const {
  const auto page = slice.pages[static_cast<std::size_t>(position / options_.page_size)];
  const auto page_size = static_cast<std::size_t>(options_.page_size);
  return static_cast<std::size_t>(page) * page_size +
         static_cast<std::size_t>(position) % page_size;
}

void FakeRunner::store(const Batch& batch, const BatchSlice& slice) {
  for (int i = 0; i < slice.num_rows; ++i) {
    const int position = slice.context_length + i;
    const auto row = static_cast<std::size_t>(slice.first_row) + static_cast<std::size_t>(i);
    if (batch.positions.at(row) != position)
      throw std::logic_error("FakeRunner: rows and positions differ");
    slots_.at(slot(slice, position)) = batch.token_ids.at(row);
  }
}

std::vector<std::int32_t> FakeRunner::read(const BatchSlice& slice) const {
  std::vector<std::int32_t> ids;
  const int num_tokens = slice.context_length + slice.num_rows;
  ids.reserve(static_cast<std::size_t>(num_tokens));
  for (int position = 0; position < num_tokens; ++position)
    ids.push_back(slots_.at(slot(slice, position)));
  return ids;
}

StepResult FakeRunner::run(const Batch& batch) {
  const std::uint64_t step = step_++;
  if (options_.before_step) options_.before_step(step);
  std::this_thread::sleep_for(options_.step_time);
  for (const BatchSlice& slice : batch.slices) store(batch, slice);

  StepResult result;
  for (const BatchSample& sample : batch.samples) {
    const auto slice = std::ranges::find(batch.slices, sample.sequence, &BatchSlice::sequence);
    const auto ids = read(*slice);
    std::vector<std::int32_t> expected(sample.prompt_ids.begin(), sample.prompt_ids.end());
    expected.insert(expected.end(), sample.output_ids.begin(), sample.output_ids.end());
    if (ids != expected)
      throw std::logic_error(fmt::format("FakeRunner: the pages of {} hold others", sample.sequence)
      );
    const bool is_last =
        options_.num_output_tokens > 0 &&
        sample.output_ids.size() + 1 >= static_cast<std::size_t>(options_.num_output_tokens);
    const std::uint64_t seed = sample.params->temperature > 0.0F ? sample.seed : 0;
    result.tokens.push_back({.id = is_last ? options_.eos_id : next_token(ids, seed)});
  }
  if (options_.after_step) options_.after_step(batch, result);
  return result;
}

}  // namespace mlxs
