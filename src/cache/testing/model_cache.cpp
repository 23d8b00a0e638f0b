#include "cache/testing/model_cache.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/page_layout.h"

namespace mlxs::testing {
namespace {

constexpr std::size_t kMaxRunning = 8;
constexpr int kMaxPromptPages = 10;

void expect(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(fmt::format("ModelCache: not true: {}", what));
}

std::uint64_t mix(std::uint64_t value, std::uint64_t next) {
  value = (value ^ next) * 0x9e37'79b9'7f4a'7c15U;
  return value ^ (value >> 29U);
}

}  // namespace

ModelCache::ModelCache(const CacheLayout& layout) : layout_(layout), cache_({.layout = layout}) {
  for (const PageGroup& group : layout.groups) {
    device_.emplace_back(static_cast<std::size_t>(group.num_pages * layout.page_size), 0);
  }
}

std::uint64_t& ModelCache::slot(PageRef ref, int position) {
  return device_.at(static_cast<std::size_t>(ref.group))
      .at(static_cast<std::size_t>(ref.page * layout_.page_size + position % layout_.page_size));
}
std::uint64_t ModelCache::slot(PageRef ref, int position) const {
  return const_cast<ModelCache*>(this)->slot(ref, position);
}

void ModelCache::extend(Sequence& sequence, std::int32_t token) const {
  const std::uint64_t before =
      sequence.contents.empty() ? mix(1, sequence.salt) : sequence.contents.back();
  sequence.tokens.push_back(token);
  sequence.contents.push_back(mix(before, static_cast<std::uint64_t>(token) + 1));
}

void ModelCache::act(const Choose& choose) {
  const std::uint32_t action = choose(32);
  if (sequences_.empty() || (action < 6 && sequences_.size() < kMaxRunning)) return start(choose);
  const auto index = static_cast<long>(choose(static_cast<std::uint32_t>(sequences_.size())));
  const Running running = std::next(sequences_.begin(), index);
  if (action < 24) return run(choose, running);
  if (action < 26 && sequences_.size() < kMaxRunning) return fork(running);
  if (action < 31) return stop(choose, running);
  if (choose(8) == 0) cache_.clear();
}

// RETURNS: an upper bound for what can match: the tokens whose contents were ever computed.
int ModelCache::longest_match(const Sequence& sequence) const {
  const auto known = [&](std::uint64_t content) { return computed_.contains(content); };
  const auto end = std::ranges::find_if_not(sequence.contents, known);
  const auto length = static_cast<int>(end - sequence.contents.begin());
  return std::min(length, static_cast<int>(sequence.tokens.size()) - 1);
}

void ModelCache::start(const Choose& choose) {
  Sequence sequence{.salt = choose(4) / 2, .uses_cache = choose(8) != 0};
  const std::uint32_t document = choose(4);
  const auto max_tokens = static_cast<std::uint32_t>(layout_.page_size * kMaxPromptPages);
  const std::uint32_t length = 1 + choose(max_tokens);
  const std::uint32_t change = choose(2 * max_tokens);  // often none
  for (std::uint32_t position = 0; position < length; ++position) {
    const std::uint32_t token = (document + 1) * (position / 3) % 7 + (position == change ? 1 : 0);
    extend(sequence, static_cast<std::int32_t>(token));
  }
  const SequenceId id = next_id_++;
  const KvCache::Lookup lookup = cache_.look_up(sequence.tokens, sequence.salt);
  const UseCache use_cache = sequence.uses_cache ? UseCache::yes : UseCache::no;
  const int num_cached = cache_.start(id, sequence.tokens, sequence.salt, use_cache);
  expect(num_cached == (sequence.uses_cache ? lookup.cached_tokens : 0), "start() does as it said");
  expect(num_cached <= longest_match(sequence), "only what was computed is cached");
  const int num_known = lookup.cached_tokens + lookup.in_flight_tokens;
  expect(num_known < static_cast<int>(length), "one token is left to run");
  const bool is_all = num_known + 1 == static_cast<int>(length);
  expect(!is_all || lookup.miss == MissReason::none, "no miss where all is cached");
  if (lookup.first_differing_token >= 0) {
    expect(lookup.first_differing_token >= num_cached, "what is cached does not differ");
  }
  sequence.num_written = num_cached;
  num_cached_tokens_ += static_cast<std::uint64_t>(num_cached);
  const Running running = sequences_.emplace(id, std::move(sequence)).first;
  expect_visible(running->second, cache_.tables(id), num_cached);
  if (choose(6) == 0) restore(choose, running);
}

// What the row at `position` reads is right, in every group.
void ModelCache::expect_visible(const Sequence& sequence, const PageTables& tables, int position)
    const {
  for (std::size_t group = 0; group < layout_.groups.size(); ++group) {
    const int window = layout_.groups[group].window;
    const auto& table = tables.groups[group];
    for (int seen = window == 0 ? 0 : std::max(0, position - window + 1); seen < position; ++seen) {
      const auto page = static_cast<std::size_t>(seen / layout_.page_size);
      expect(page < table.size() && table[page] != kNoPage, "a visible token has a page");
      const PageRef ref{.group = static_cast<int>(group), .page = table[page]};
      const std::uint64_t content = sequence.contents[static_cast<std::size_t>(seen)];
      expect(slot(ref, seen) == content, "a page holds its sequence's tokens");
    }
  }
}

void ModelCache::expect_private(SequenceId id, int group, std::int32_t page) const {
  for (const auto& [other, sequence] : sequences_) {
    if (other == id) continue;
    const auto& table = cache_.tables(other).groups[static_cast<std::size_t>(group)];
    expect(std::ranges::find(table, page) == table.end(), "a page that is written is not shared");
  }
}

void ModelCache::run(const Choose& choose, Running running) {
  auto& [id, sequence] = *running;
  const auto max_rows = static_cast<std::uint32_t>(3 * layout_.page_size);
  const int end = sequence.num_written + 1 + static_cast<int>(choose(max_rows));
  std::vector<PageCopy> copies;
  const int before = cache_.available(0);
  if (!cache_.grow(id, end, copies)) {
    expect(copies.empty() && cache_.available(0) == before, "a refusal takes nothing");
    ++num_refused_;
    if (choose(2) == 0) stop(choose, running);
    return;
  }
  num_copies_ += copies.size();
  for (const PageCopy& copy : copies) {
    for (int position = 0; position < layout_.page_size; ++position) {
      slot({copy.group, copy.to}, position) = slot({copy.group, copy.from}, position);
    }
  }
  while (static_cast<int>(sequence.tokens.size()) < end) {
    extend(sequence, static_cast<std::int32_t>(choose(3)));
  }
  for (; sequence.num_written < end; ++sequence.num_written) {
    const int position = sequence.num_written;
    const PageTables& tables = cache_.tables(id);
    expect_visible(sequence, tables, position);
    for (std::size_t group = 0; group < layout_.groups.size(); ++group) {
      const auto page = static_cast<std::size_t>(position / layout_.page_size);
      const PageRef ref{.group = static_cast<int>(group), .page = tables.groups[group].at(page)};
      expect_private(id, ref.group, ref.page);
      slot(ref, position) = sequence.contents[static_cast<std::size_t>(position)];
    }
  }
  if (choose(4) == 0) return;  // the step stays in flight
  const int in_flight = sequence.num_written - cache_.num_computed(id);
  const int done =
      sequence.num_written -
      (choose(3) == 0 ? static_cast<int>(choose(static_cast<std::uint32_t>(in_flight))) : 0);
  cache_.mark_computed(id, sequence.tokens, done);
  remember_computed(sequence, done);
  expect_visible(sequence, cache_.tables(id), sequence.num_written);
  expect_matchable(sequence, done);
}

// All full pages of a running sequence can be found, where no window lets some of them go.
void ModelCache::expect_matchable(const Sequence& sequence, int num_computed) const {
  const auto has_window = [](const PageGroup& group) { return group.window > 0; };
  if (!sequence.uses_cache || std::ranges::any_of(layout_.groups, has_window)) return;
  std::vector<std::int32_t> tokens = sequence.tokens;
  tokens.resize(static_cast<std::size_t>(num_computed));
  tokens.push_back(99);
  const int num_cached = cache_.look_up(tokens, sequence.salt).cached_tokens;
  expect(num_cached >= num_computed - num_computed % layout_.page_size, "full pages are cached");
}

void ModelCache::remember_computed(const Sequence& sequence, int num_computed) {
  if (!sequence.uses_cache) return;
  for (int i = 0; i < num_computed; ++i) {
    computed_[sequence.contents[static_cast<std::size_t>(i)]] = true;
  }
}

void ModelCache::restore(const Choose& choose, Running running) {
  auto& [id, sequence] = *running;
  const int begin = cache_.num_computed(id);
  const int rest = static_cast<int>(sequence.tokens.size()) - begin;
  const int end = begin + 1 + static_cast<int>(choose(static_cast<std::uint32_t>(rest)));
  if (!cache_.restore(id, end)) {
    ++num_refused_;
    return;
  }
  const PageTables& tables = cache_.tables(id);
  for (std::size_t group = 0; group < layout_.groups.size(); ++group) {
    for (int position = begin - begin % layout_.page_size; position < end; ++position) {
      const auto page = static_cast<std::size_t>(position / layout_.page_size);
      const PageRef ref{.group = static_cast<int>(group), .page = tables.groups[group].at(page)};
      if (ref.page == kNoPage) continue;
      expect_private(id, ref.group, ref.page);
      slot(ref, position) = sequence.contents[static_cast<std::size_t>(position)];
    }
  }
  sequence.num_written = end;
  cache_.mark_computed(id, sequence.tokens, end);
  remember_computed(sequence, end);
  expect_visible(sequence, cache_.tables(id), end);
}

void ModelCache::fork(Running running) {
  const auto& [parent, sequence] = *running;
  const SequenceId child = next_id_++;
  cache_.fork(parent, child);
  Sequence copy = sequence;
  copy.num_written = cache_.num_computed(child);
  expect(copy.num_written == cache_.num_computed(parent), "a child begins where its parent is");
  // The child goes its own way from its first own token.
  const auto num_computed = static_cast<std::size_t>(copy.num_written);
  copy.tokens.resize(num_computed);
  copy.contents.resize(num_computed);
  if (copy.tokens.empty()) extend(copy, 0);
  expect_visible(copy, cache_.tables(child), copy.num_written);
  sequences_.emplace(child, std::move(copy));
}

void ModelCache::stop(const Choose& choose, Running running) {
  cache_.stop(running->first, choose(3) == 0 ? Keep::nothing : Keep::cached);
  sequences_.erase(running);
}

}  // namespace mlxs::testing
