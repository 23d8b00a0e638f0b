// The bookkeeping of sequences; what they share is in prefix_tree.cpp.
#include "cache/kv_cache.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/page_layout.h"
#include "cache/page_pool.h"
#include "cache/prefix_lookup.h"
#include "cache/prefix_tree.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

struct CachedSequence {
  PageTables tables = {};
  PrefixNode* node = nullptr;        // of its last page in the tree; null: it does not use the tree
  PrefixNode* last_claim = nullptr;  // the last node that it claimed and has not computed yet
  int start_depth = 0;               // pages that were there when it began
  int num_computed = 0;
  std::vector<int> first_pages = {};  // [group]: entries before it are kNoPage
};

KvCache::Options checked(KvCache::Options options) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::invalid_config, what);
  };
  require(options.layout.page_size >= 1, "the KV cache needs a page size of at least 1 token");
  require(!options.layout.groups.empty(), "the KV cache needs at least one group of layers");
  for (const PageGroup& group : options.layout.groups) {
    require(group.num_pages >= 1, "the KV memory holds not even one page; give it more");
    require(group.window >= 0, "an attention window cannot be negative");
  }
  return options;
}

std::vector<PagePool> make_pools(const CacheLayout& layout) {
  std::vector<PagePool> pools;
  pools.reserve(layout.groups.size());
  for (const PageGroup& group : layout.groups) pools.emplace_back(group.num_pages);
  return pools;
}

}  // namespace

struct KvCache::State {
  explicit State(Options given)
      : options(checked(std::move(given))),
        pools(make_pools(options.layout)),
        tree(options.layout, pools) {}

  [[nodiscard]] int num_groups() const { return static_cast<int>(options.layout.groups.size()); }
  [[nodiscard]] int page_size() const { return options.layout.page_size; }
  [[nodiscard]] int window(int group) const {
    return options.layout.groups[static_cast<std::size_t>(group)].window;
  }
  [[nodiscard]] PagePool& pool(int group) { return pools[static_cast<std::size_t>(group)]; }
  [[nodiscard]] int available(int group) const {
    return pools.at(static_cast<std::size_t>(group)).num_free() + tree.num_evictable(group);
  }

  CachedSequence& find(SequenceId id) {
    const auto found = sequences.find(id);
    if (found == sequences.end()) {
      throw std::logic_error(fmt::format("KvCache: there is no sequence {}", id));
    }
    return found->second;
  }

  CachedSequence& add(SequenceId id) {
    const auto [place, is_new] = sequences.try_emplace(id);
    if (!is_new) throw std::logic_error(fmt::format("KvCache: sequence {} is there already", id));
    place->second.tables.groups.resize(options.layout.groups.size());
    place->second.first_pages.assign(options.layout.groups.size(), 0);
    return place->second;
  }

  void require_room(SequenceId id, const CachedSequence& sequence, int num_tokens) const {
    const auto num_pages = static_cast<std::size_t>(pages_for(num_tokens, page_size()));
    for (const auto& table : sequence.tables.groups) {
      if (table.size() >= num_pages) continue;
      throw std::logic_error(fmt::format("KvCache: sequence {} did not grow to {}", id, num_tokens)
      );
    }
  }

  void take_match(CachedSequence& sequence, const PrefixTree::Match& match);
  void commit_page(SequenceId id, CachedSequence& sequence, std::span<const std::int32_t> tokens);
  void make_writable(CachedSequence& sequence, PageRef index, std::vector<PageCopy>& copies);
  void count_pages(const CachedSequence& sequence, std::vector<std::vector<int>>& held) const;
  void trim(CachedSequence& sequence, int group, int first_page);

  // The entry of a page table, which grows to have it.
  static std::int32_t& entry(CachedSequence& sequence, int group, int page) {
    auto& table = sequence.tables.groups[static_cast<std::size_t>(group)];
    if (table.size() <= static_cast<std::size_t>(page)) {
      table.resize(static_cast<std::size_t>(page) + 1, kNoPage);
    }
    return table[static_cast<std::size_t>(page)];
  }

  Options options;
  std::vector<PagePool> pools;
  PrefixTree tree;
  std::unordered_map<SequenceId, CachedSequence> sequences;
};

KvCache::KvCache(Options options) : state_(std::make_unique<State>(std::move(options))) {}
KvCache::~KvCache() = default;

KvCache::Lookup KvCache::look_up(std::span<const std::int32_t> tokens, std::uint64_t salt) const {
  if (!state_->options.prefix_caching) return {.miss = MissReason::disabled};
  return state_->tree.match(tokens, salt).result;
}

int KvCache::start(
    SequenceId id, std::span<const std::int32_t> prompt, std::uint64_t salt, UseCache use_cache
) {
  CachedSequence& sequence = state_->add(id);
  if (!state_->options.prefix_caching || use_cache == UseCache::no) return 0;
  PrefixTree& tree = state_->tree;
  const PrefixTree::Match match = tree.match(prompt, salt);
  if (match.node == nullptr) {
    sequence.node = tree.use_root(salt);
  } else {
    sequence.node = match.node;
    tree.use(match.node);
  }
  state_->take_match(sequence, match);
  const auto num_matched = static_cast<std::size_t>(sequence.start_depth) *
                           static_cast<std::size_t>(state_->page_size());
  sequence.last_claim = tree.claim(sequence.node, prompt.subspan(num_matched), id);
  return sequence.num_computed;
}

// Holds the pages that the next token sees, the partial one included.
void KvCache::State::take_match(CachedSequence& sequence, const PrefixTree::Match& match) {
  sequence.num_computed = match.result.cached_tokens;
  sequence.start_depth = sequence.node->depth;
  const int num_pages = pages_for(sequence.num_computed, page_size());
  if (num_pages == 0) return;
  const PrefixNode* node = match.partial == nullptr ? match.node : match.partial;
  for (int group = 0; group < num_groups(); ++group) {
    const int first = first_visible_page(sequence.num_computed, window(group), page_size());
    sequence.first_pages[static_cast<std::size_t>(group)] = std::min(first, num_pages);
    entry(sequence, group, num_pages - 1);
  }
  for (int page = num_pages - 1; page >= 0 && node != nullptr; --page, node = node->parent) {
    for (int group = 0; group < num_groups(); ++group) {
      if (page < sequence.first_pages[static_cast<std::size_t>(group)]) continue;
      const std::int32_t shared = node->pages[static_cast<std::size_t>(group)];
      tree.hold({.group = group, .page = shared});
      entry(sequence, group, page) = shared;
    }
  }
}

int KvCache::pages_needed(SequenceId id, int num_tokens, int group) const {
  const CachedSequence& sequence = state_->find(id);
  const auto& table = sequence.tables.groups.at(static_cast<std::size_t>(group));
  const PagePool& pool = state_->pool(group);
  const auto end = static_cast<std::size_t>(pages_for(num_tokens, state_->page_size()));
  int count = 0;
  for (auto page = static_cast<std::size_t>(sequence.num_computed / state_->page_size());
       page < end;
       ++page) {
    const bool is_mine =
        page < table.size() && table[page] != kNoPage && pool.ref_count(table[page]) == 1;
    if (!is_mine) ++count;
  }
  return count;
}

bool KvCache::grow(SequenceId id, int num_tokens, std::vector<PageCopy>& copies) {
  CachedSequence& sequence = state_->find(id);
  const int first = sequence.num_computed / state_->page_size();
  const int end = pages_for(num_tokens, state_->page_size());
  for (int group = 0; group < state_->num_groups(); ++group) {
    if (pages_needed(id, num_tokens, group) > state_->available(group)) return false;
  }
  for (int group = 0; group < state_->num_groups(); ++group) {
    for (int page = first; page < end; ++page) {
      state_->make_writable(sequence, {.group = group, .page = page}, copies);
    }
  }
  return true;
}

// Makes entry `index.page` of the group's table a page that only this sequence holds.
void KvCache::State::make_writable(
    CachedSequence& sequence, PageRef index, std::vector<PageCopy>& copies
) {
  std::int32_t& mine = entry(sequence, index.group, index.page);
  if (mine == kNoPage) {
    mine = tree.allocate(index.group);
  } else if (pool(index.group).ref_count(mine) > 1) {
    const std::int32_t shared = std::exchange(mine, tree.allocate(index.group));
    copies.push_back({.group = index.group, .from = shared, .to = mine});
    tree.let_go({.group = index.group, .page = shared});
  }
}

bool KvCache::restore(SequenceId id, int num_tokens) {
  CachedSequence& sequence = state_->find(id);
  const int begin = sequence.num_computed / state_->page_size();
  const int end = pages_for(num_tokens, state_->page_size());
  const auto first_kept = [&](int group) {
    const int visible = first_visible_page(num_tokens, state_->window(group), state_->page_size());
    return std::clamp(visible, begin, std::max(begin, end));
  };
  for (int group = 0; group < state_->num_groups(); ++group) {
    // At most: a shared page that is replaced below may be counted as available or not.
    if (end - first_kept(group) > state_->available(group)) return false;
  }
  for (int group = 0; group < state_->num_groups() && end > begin; ++group) {
    State::entry(sequence, group, end - 1);
    for (int page = begin; page < end; ++page) {
      std::int32_t& mine = State::entry(sequence, group, page);
      if (mine != kNoPage) state_->tree.let_go({.group = group, .page = mine});
      mine = page < first_kept(group) ? kNoPage : state_->tree.allocate(group);
    }
  }
  return true;
}

void KvCache::mark_computed(SequenceId id, std::span<const std::int32_t> tokens, int num_computed) {
  CachedSequence& sequence = state_->find(id);
  if (num_computed <= sequence.num_computed) return;
  const int page_size = state_->page_size();
  const bool completes_page = num_computed / page_size > sequence.num_computed / page_size;
  state_->require_room(id, sequence, num_computed);
  if (tokens.size() < static_cast<std::size_t>(num_computed)) {
    throw std::logic_error(fmt::format("KvCache::mark_computed: sequence {} lacks tokens", id));
  }
  sequence.num_computed = num_computed;
  if (sequence.node != nullptr && completes_page) {
    while (sequence.node->depth < num_computed / page_size) {
      state_->commit_page(id, sequence, tokens);
    }
  }
  for (int group = 0; group < state_->num_groups(); ++group) {
    const int window = state_->window(group);
    if (window > 0)
      state_->trim(sequence, group, first_visible_page(num_computed, window, page_size));
  }
}

// Hands the sequence's next full page to the tree.
void KvCache::State::commit_page(
    SequenceId id, CachedSequence& sequence, std::span<const std::int32_t> tokens
) {
  PrefixNode* const parent = sequence.node;
  const int page = parent->depth;
  std::vector<std::int32_t> pages(options.layout.groups.size());
  for (int group = 0; group < num_groups(); ++group) {
    pages[static_cast<std::size_t>(group)] = entry(sequence, group, page);
  }
  const auto begin = static_cast<std::size_t>(page) * static_cast<std::size_t>(page_size());
  const auto page_tokens = tokens.subspan(begin, static_cast<std::size_t>(page_size()));
  PrefixNode* const node = tree.commit(parent, page_tokens, pages, id);
  for (int group = 0; group < num_groups(); ++group) {
    entry(sequence, group, page) = pages[static_cast<std::size_t>(group)];
  }
  if (node == sequence.last_claim) sequence.last_claim = nullptr;
  sequence.node = node;
  tree.use(node);
  tree.leave(parent);
}

// Releases the pages of `group` before `first_page`.
void KvCache::State::trim(CachedSequence& sequence, int group, int first_page) {
  auto& table = sequence.tables.groups[static_cast<std::size_t>(group)];
  int& first = sequence.first_pages[static_cast<std::size_t>(group)];
  const int end = std::min(first_page, static_cast<int>(table.size()));
  for (; first < end; ++first) {
    const std::int32_t page = std::exchange(table[static_cast<std::size_t>(first)], kNoPage);
    if (page != kNoPage) tree.let_go({.group = group, .page = page});
  }
}

void KvCache::fork(SequenceId parent, SequenceId child) {
  state_->find(parent);  // before a child is made
  CachedSequence& copy = state_->add(child);
  const CachedSequence& original = state_->find(parent);
  const int num_pages = pages_for(original.num_computed, state_->page_size());
  copy.num_computed = original.num_computed;
  copy.first_pages = original.first_pages;
  for (int group = 0; group < state_->num_groups(); ++group) {
    const auto& from = original.tables.groups[static_cast<std::size_t>(group)];
    auto& to = copy.tables.groups[static_cast<std::size_t>(group)];
    to.assign(from.begin(), from.begin() + std::min<std::ptrdiff_t>(num_pages, std::ssize(from)));
    for (const std::int32_t page : to) {
      if (page != kNoPage) state_->tree.hold({.group = group, .page = page});
    }
  }
  copy.node = original.node;
  if (copy.node == nullptr) return;
  copy.start_depth = copy.node->depth;
  state_->tree.use(copy.node);
}

void KvCache::stop(SequenceId id, Keep keep) {
  CachedSequence& sequence = state_->find(id);
  PrefixTree& tree = state_->tree;
  for (int group = 0; group < state_->num_groups(); ++group) {
    // From the end, so that what is evicted first is what others need least.
    const auto& table = sequence.tables.groups[static_cast<std::size_t>(group)];
    for (auto page = table.rbegin(); page != table.rend(); ++page) {
      if (*page != kNoPage) tree.let_go({.group = group, .page = *page});
    }
  }
  if (sequence.last_claim != nullptr) tree.give_up(sequence.last_claim, sequence.start_depth, id);
  if (PrefixNode* const node = sequence.node) {
    if (keep == Keep::nothing) {
      tree.leave_and_discard(node, sequence.start_depth, id);
    } else {
      tree.leave(node);
    }
  }
  state_->sequences.erase(id);
}

bool KvCache::contains(SequenceId id) const { return state_->sequences.contains(id); }

const PageTables& KvCache::tables(SequenceId id) const { return state_->find(id).tables; }

int KvCache::num_computed(SequenceId id) const { return state_->find(id).num_computed; }

KvCache::Counts KvCache::counts(int group) const {
  const PagePool& pool = state_->pools.at(static_cast<std::size_t>(group));
  const int cached = state_->tree.num_evictable(group);
  return {
      .num_pages = pool.num_pages(),
      .free = pool.num_free(),
      .used = pool.num_pages() - pool.num_free() - cached,
      .cached = cached
  };
}

int KvCache::available(int group) const { return state_->available(group); }

const CacheLayout& KvCache::layout() const { return state_->options.layout; }

void KvCache::clear() { state_->tree.clear(); }

void KvCache::State::count_pages(
    const CachedSequence& sequence, std::vector<std::vector<int>>& held
) const {
  for (std::size_t group = 0; group < options.layout.groups.size(); ++group) {
    for (const std::int32_t page : sequence.tables.groups[group]) {
      if (page != kNoPage) ++held[group].at(static_cast<std::size_t>(page));
    }
  }
}

void KvCache::check() const {
  std::vector<std::vector<int>> held;
  held.reserve(state_->options.layout.groups.size());
  for (const PageGroup& group : state_->options.layout.groups) {
    held.emplace_back(static_cast<std::size_t>(group.num_pages), 0);
  }
  for (const auto& [id, sequence] : state_->sequences) state_->count_pages(sequence, held);
  state_->tree.check(held);
}

}  // namespace mlxs
