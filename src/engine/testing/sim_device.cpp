// The pages hold token ids instead of keys and values.
#include "engine/testing/sim_device.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cache/page_layout.h"
#include "engine/batch.h"

namespace mlxs {
namespace {

constexpr std::int32_t kRubbish = -7;
constexpr std::size_t kKeptSteps = 8;  // more than are ever in flight

std::size_t index(std::int32_t number) { return static_cast<std::size_t>(number); }

}  // namespace

SimDevice::SimDevice(CacheLayout layout, int host_pages, SimCost cost)
    : layout_(std::move(layout)), cost_(cost) {
  const Page empty(index(layout_.page_size), kRubbish);
  for (const PageGroup& group : layout_.groups) {
    pages_.emplace_back(index(group.num_pages), empty);
    host_.emplace_back(index(host_pages), empty);
  }
}

// FNV-1a over the ids, http://www.isthe.com/chongo/tech/comp/fnv/.
std::int32_t SimDevice::next_token(std::span<const std::int32_t> token_ids, std::uint64_t seed) {
  std::uint64_t hash = 14695981039346656037ULL ^ seed;
  for (const std::int32_t id : token_ids)
    hash = (hash ^ static_cast<std::uint32_t>(id)) * 1099511628211ULL;
  return static_cast<std::int32_t>((hash >> 32U) % 1000U);
}

std::chrono::nanoseconds SimDevice::duration(const Batch& batch) const {
  double seconds = cost_.base_s;
  for (const BatchSlice& slice : batch.slices) {
    const double rows = slice.num_rows;
    seconds += rows * (slice.num_rows == 1 ? cost_.decode_row_s : cost_.prefill_row_s);
    seconds += rows * (slice.context_length + rows / 2) * cost_.context_token_s;
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

void SimDevice::move_pages(const Batch& batch) {
  for (const PageMove& move : batch.swap_out)
    host_.at(index(move.group)).at(index(move.host_slot)) =
        pages_.at(index(move.group)).at(index(move.page));
  for (const PageCopy& copy : batch.copies)
    pages_.at(index(copy.group)).at(index(copy.to)) =
        pages_.at(index(copy.group)).at(index(copy.from));
  for (const PageMove& move : batch.swap_in)
    pages_.at(index(move.group)).at(index(move.page)) =
        host_.at(index(move.group)).at(index(move.host_slot));
}

void SimDevice::write_rows(const Batch& batch) {
  std::vector<std::int32_t> ids = batch.token_ids;
  for (const TokenFeed& feed : batch.feeds)
    ids.at(index(feed.row)) = samples_.at(feed.step).at(index(feed.sample));
  for (const BatchSlice& slice : batch.slices) {
    for (int i = 0; i < slice.num_rows; ++i) {
      const std::size_t row = index(slice.first_row + i);
      if (batch.positions.at(row) != slice.context_length + i)
        throw std::logic_error("SimDevice: rows and positions differ");
      write(slice, slice.context_length + i, ids.at(row));
    }
  }
}

void SimDevice::write(const BatchSlice& slice, int position, std::int32_t id) {
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    const auto page = slice.pages->groups.at(group).at(index(position / layout_.page_size));
    pages_[group].at(index(page)).at(index(position % layout_.page_size)) = id;
  }
}

SimDevice::Ids SimDevice::known_tokens(const BatchSample& sample) const {
  Ids ids(sample.prompt_ids.begin(), sample.prompt_ids.end());
  ids.insert(ids.end(), sample.output_ids.begin(), sample.output_ids.end());
  for (const TokenRef& source : sample.in_flight)
    ids.push_back(samples_.at(source.step).at(index(source.sample)));
  return ids;
}

const BatchSlice& SimDevice::slice_of(const Batch& batch, int row) const {
  const auto holds = [row](const BatchSlice& slice) {
    return row >= slice.first_row && row < slice.first_row + slice.num_rows;
  };
  const auto found = std::ranges::find_if(batch.slices, holds);
  if (found == batch.slices.end()) throw std::logic_error("SimDevice: a sample without its row");
  return *found;
}

void SimDevice::check_pages(const BatchSlice& slice, std::span<const std::int32_t> token_ids)
    const {
  const int last = slice.context_length + slice.num_rows - 1;
  if (std::ssize(token_ids) != last + 1)
    throw std::logic_error(fmt::format("SimDevice: {} samples too early", slice.sequence));
  for (std::size_t group = 0; group < pages_.size(); ++group) {
    const int window = layout_.groups[group].window;
    const int first = window == 0 ? 0 : std::max(0, last - window + 1);
    for (int position = first; position <= last; ++position) {
      const auto page = slice.pages->groups.at(group).at(index(position / layout_.page_size));
      const auto held = pages_[group].at(index(page)).at(index(position % layout_.page_size));
      if (held == token_ids[index(position)]) continue;
      throw std::logic_error(
          fmt::format("SimDevice: position {} of {} holds {}", position, slice.sequence, held)
      );
    }
  }
}

std::vector<SampledToken> SimDevice::run(const Batch& batch, SimChecks checks) {
  move_pages(batch);
  write_rows(batch);
  std::vector<SampledToken> tokens;
  Ids& sampled = samples_[batch.step];
  for (const BatchSample& sample : batch.samples) {
    const Ids ids = known_tokens(sample);
    if (checks == SimChecks::all) check_pages(slice_of(batch, sample.row), ids);
    sampled.push_back(next_token(ids, sample.seed));
    tokens.push_back({.id = sampled.back()});
  }
  if (samples_.size() > kKeptSteps) samples_.erase(samples_.begin());
  return tokens;
}

void SimDevice::run_failing(const Batch& batch) {
  samples_[batch.step].assign(batch.samples.size(), kRubbish);
  const auto spoil = [this](int group, std::int32_t page) {
    std::ranges::fill(pages_.at(index(group)).at(index(page)), kRubbish);
  };
  for (const PageMove& move : batch.swap_out)
    std::ranges::fill(host_.at(index(move.group)).at(index(move.host_slot)), kRubbish);
  for (const PageCopy& copy : batch.copies) spoil(copy.group, copy.to);
  for (const PageMove& move : batch.swap_in) spoil(move.group, move.page);
  for (const BatchSlice& slice : batch.slices) {
    for (int i = 0; i < slice.num_rows; ++i) write(slice, slice.context_length + i, kRubbish);
  }
}

}  // namespace mlxs
