// Which computed pages begin with which tokens: a radix tree with one page of tokens a step and one
// root per salt. It holds pages of the pools like a sequence does and gives back the least recently
// used ones when room is needed. Tokens are compared, never hashes, so nothing can be mixed up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/evicted_keys.h"
#include "cache/lru_list.h"
#include "cache/page_key.h"
#include "cache/page_layout.h"
#include "cache/page_pool.h"
#include "cache/prefix_lookup.h"

namespace mlxs {

struct PrefixNode;

// Orders children by their tokens, so that the one with the longest common beginning is a neighbour
// of where a text would stand.
struct ByTokens {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
  using Tokens = std::span<const std::int32_t>;
  using Child = std::unique_ptr<PrefixNode>;

  [[nodiscard]] bool operator()(const Child& a, const Child& b) const;
  [[nodiscard]] bool operator()(const Child& a, Tokens b) const;
  [[nodiscard]] bool operator()(Tokens a, const Child& b) const;
};

// One page of tokens after its parent's. A root has no tokens and no pages.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  std::uint64_t salt = 0;
  int depth = 0;     // pages from the root, this one included
  PageKey key = {};  // of the tokens up to the end of this page
  std::vector<std::int32_t> tokens = {};
  std::vector<std::int32_t> pages = {};     // of each group; kNoPage where it is not held
  std::optional<SequenceId> claimant = {};  // a running sequence that will compute the page
  SequenceId brought_by = 0;                // the sequence that computed it
  bool was_computed = false;                // it had a page once
  int num_users = 0;                        // sequences that have come this far and no further
  std::set<std::unique_ptr<PrefixNode>, ByTokens> children = {};
  std::set<std::unique_ptr<PrefixNode>, ByTokens>::iterator place = {};  // in parent->children
};

// Thread safety: none; the engine's thread owns it.
// Invariants: a node without pages, claim, user and children does not exist. In a group without a
// window, a node that has a page has it in all its ancestors, too. A page that only the tree holds
// is in its group's list of least recently used pages, behind those of its descendants.
class PrefixTree {
 public:
  struct Match {
    PrefixNode* node = nullptr;     // of the last page that matches wholly; null: not even a root
    PrefixNode* partial = nullptr;  // a child of `node` (of the root) whose first tokens match, too
    PrefixLookup result = {};
  };

  // REQUIRES: `pools` has a pool for each group and outlives the tree.
  PrefixTree(const CacheLayout& layout, std::vector<PagePool>& pools);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;
  PrefixTree(PrefixTree&&) = delete;
  PrefixTree& operator=(PrefixTree&&) = delete;

  // REQUIRES: tokens is not empty.
  [[nodiscard]] Match match(std::span<const std::int32_t> tokens, std::uint64_t salt) const;

  // RETURNS: the root of `salt`, made where there is none, with one more user.
  PrefixNode* use_root(std::uint64_t salt);

  // One user more, or less, of a node. A node that nothing needs any more goes away.
  void use(PrefixNode* node);
  void leave(PrefixNode* node);

  // Claims the pages of `tokens` that follow `node` and lack a page, for `id`.
  // RETURNS: the last node claimed, or null.
  PrefixNode* claim(PrefixNode* node, std::span<const std::int32_t> tokens, SequenceId id);

  // Gives up the claims of `id` on `last` and its ancestors below `floor_depth`.
  void give_up(PrefixNode* last, int floor_depth, SequenceId id);

  // Takes over a computed page that follows `parent`. `pages` are the sequence's own, of each
  // group; where the tree has one already, the entry is replaced by it.
  // RETURNS: the page's node, without a claim of `id`.
  PrefixNode* commit(
      PrefixNode* parent,
      std::span<const std::int32_t> page_tokens,
      std::span<std::int32_t> pages,
      SequenceId id
  );

  // As leave(), and drops the pages that `id` brought from `node` upwards, below `floor_depth`, as
  // far as nothing else needs them. REQUIRES: the sequence has let go of its pages.
  void leave_and_discard(PrefixNode* node, int floor_depth, SequenceId id);

  // A sequence takes, or gives back, a page that it shares or owns.
  void hold(PageRef ref);
  void let_go(PageRef ref);

  // RETURNS: a free page with one holder; the least recently used cached one where none is free.
  // ERRORS: std::logic_error where there is neither.
  std::int32_t allocate(int group);

  [[nodiscard]] int num_evictable(int group) const;

  void clear();  // evicts all that no sequence holds

  // ERRORS: std::logic_error that says which invariant is broken. `held[g][page]` counts the
  // sequences that hold a page.
  void check(const std::vector<std::vector<int>>& held) const;

 private:
  struct Walk;

  [[nodiscard]] std::size_t num_groups() const { return layout_.groups.size(); }
  [[nodiscard]] std::size_t page_size() const {
    return static_cast<std::size_t>(layout_.page_size);
  }
  [[nodiscard]] bool is_complete(const PrefixNode& node) const;
  [[nodiscard]] bool is_unshared(const PrefixNode& node) const;
  [[nodiscard]] bool has_full_pages(const PrefixNode& node) const;
  [[nodiscard]] Walk walk(std::span<const std::int32_t> tokens, std::uint64_t salt) const;
  void find_usable(Walk& walk) const;
  void find_in_flight(Walk& walk) const;
  void find_miss(Walk& walk) const;
  PrefixNode* find_or_add(PrefixNode* parent, std::span<const std::int32_t> page_tokens);
  PrefixNode* prune(PrefixNode* node);
  void detach(PrefixNode& node, std::size_t group);
  void evict_one(int group);
  void check_node(const PrefixNode& node) const;
  void check_order(std::size_t group) const;

  CacheLayout layout_;
  std::vector<PagePool>& pools_;
  std::unordered_map<std::uint64_t, std::unique_ptr<PrefixNode>> roots_;
  std::vector<std::vector<PrefixNode*>> node_of_page_;  // [group][page]; null: not in the tree
  std::vector<LruList> evictable_;                      // [group]: pages that only the tree holds
  EvictedKeys evicted_;
};

}  // namespace mlxs
